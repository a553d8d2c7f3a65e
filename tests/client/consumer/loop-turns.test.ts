import { afterEach, expect, test } from '@jest/globals';
import { member, type Member } from '../support/fake-membership.js';
import { numbers, useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();
const members: Member[] = [];

afterEach(async () => {
  await Promise.all(members.splice(0).map(({ close }) => close()));
});

async function fill(count: number): Promise<void> {
  const { broker, client } = harness();
  broker.createTopic('t', 1);
  const producer = client.producer({ batchBytes: 300 });
  for (const value of numbers(count)) producer.enqueue('t', { value, partition: 0 });
  await producer.close();
}

/** A handler that is all computation. */
function compute(forMs: number): void {
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs);
}

test.each(['messages', 'batches'] as const)(
  'timers run between %s that are at hand',
  async (kind) => {
    await fill(400);
    const joined = member(harness(), ['t-0'], { autoCommitIntervalMs: 1 });
    members.push(joined);
    const { consumer, membership } = joined;
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    if (kind === 'messages') {
      for await (const message of consumer) {
        compute(0.5);
        if (message.offset === 399) break;
      }
    } else {
      for await (const batch of consumer.batches()) {
        compute(10);
        if (batch.lastOffset === 399) break;
      }
    }
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
    const commits = membership.log.filter((line) => line.startsWith('commit'));
    expect(commits.length).toBeGreaterThan(2);
  },
);

test('what was handled before a turn counts as handled in it', async () => {
  await fill(100);
  const joined = member(harness(), ['t-0']);
  members.push(joined);
  const { consumer, membership } = joined;
  let handled = 0;
  let stop: NodeJS.Immediate | undefined;
  for await (const { offset } of consumer) {
    handled = offset + 1;
    if (handled >= 10) compute(11);
    if (handled === 20) stop = setImmediate(() => void consumer.close());
  }
  await consumer.close();
  clearImmediate(stop);
  expect(handled).toBe(20);
  expect(membership.offsetOf('t-0')).toBe(20);
});
