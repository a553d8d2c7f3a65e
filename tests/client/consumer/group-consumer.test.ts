import { afterEach, expect, test } from '@jest/globals';
import {
  ClosedError,
  InvalidArgumentError,
  MaxPollIntervalExceededError,
  RebalanceError,
  type GroupConsumerOptions,
} from '@millrace/client';
import { member, type Member, type Name } from '../support/fake-membership.js';
import { numbers, rejectionOf, until, useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();
const members: Member[] = [];

afterEach(async () => {
  await Promise.all(members.splice(0).map(({ close }) => close()));
});

/** A member that has the partitions once it reads. */
function join(initial: readonly Name[], options: Partial<GroupConsumerOptions> = {}): Member {
  const joined = member(harness(), initial, { maxWaitMs: 20, ...options });
  members.push(joined);
  return joined;
}

async function fill(partitions: number, count: number, batchBytes = 300): Promise<void> {
  const { broker, client } = harness();
  broker.createTopic('t', partitions);
  const producer = client.producer({ batchBytes });
  for (const value of numbers(count)) {
    for (let partition = 0; partition < partitions; partition += 1) {
      producer.enqueue('t', { value, partition });
    }
  }
  await producer.flush();
}

test('reading begins at the beginning, and goes on at the commit', async () => {
  await fill(1, 10);
  const first = join(['t-0']);
  for await (const { offset } of first.consumer) {
    if (offset < 4) continue;
    await first.consumer.commit();
    break;
  }
  expect(first.membership.offsetOf('t-0')).toBe(5);
  const second = join(['t-0']);
  second.membership.committed.set('t-0', {
    offset: 5,
    leaderEpoch: 0,
    metadata: null,
    commitTimeMs: 0,
  });
  const { value } = await second.consumer[Symbol.asyncIterator]().next();
  expect(value?.offset).toBe(5);
});

test('from says where to start only where nothing is committed', async () => {
  await fill(2, 10);
  const { consumer, membership } = join(['t-0', 't-1'], { from: 'end' });
  membership.committed.set('t-0', { offset: 7, leaderEpoch: 0, metadata: null, commitTimeMs: 0 });
  await consumer.start();
  expect(consumer.position('t', 0)).toBe(7);
  expect(consumer.position('t', 1)).toBe(10);
  await consumer.close();
  // Else what comes before the next member starts would be skipped.
  expect(membership.offsetOf('t-1')).toBe(10);
});

test('background commits go up to the message in hand, never beyond', async () => {
  await fill(1, 300);
  const { consumer, membership } = join(['t-0'], { autoCommitIntervalMs: 1 });
  for await (const { offset } of consumer) {
    const committed = membership.offsetOf('t-0') ?? 0;
    expect(committed).toBeLessThanOrEqual(offset);
    if (offset % 50 === 49) await until(() => membership.offsetOf('t-0') === offset);
    if (offset === 299) break;
  }
  await consumer.close();
  expect(membership.offsetOf('t-0')).toBe(299);
});

test('of batches, too, only those before the one in hand are committed', async () => {
  await fill(1, 300);
  const { consumer, membership } = join(['t-0'], { autoCommitIntervalMs: 1 });
  for await (const batch of consumer.batches()) {
    await until(() => membership.offsetOf('t-0') === batch.baseOffset);
    if (batch.lastOffset < 150) continue;
    await consumer.commit();
    expect(membership.offsetOf('t-0')).toBe(batch.lastOffset + 1);
    break;
  }
});

test('commit() includes the message in hand; leaving the loop does not', async () => {
  await fill(1, 10);
  for (const withCommit of [true, false]) {
    const { consumer, membership } = join(['t-0']);
    for await (const { offset } of consumer) {
      if (offset < 3) continue;
      if (withCommit) await consumer.commit();
      break;
    }
    expect(membership.offsetOf('t-0')).toBe(withCommit ? 4 : 3);
    expect(membership.log.slice(-1)).toEqual(['leave']);
  }
});

test('commits of a message, a batch and of offsets with metadata', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0'], { autoCommit: false });
  const messages = consumer[Symbol.asyncIterator]();
  const { value: first } = await messages.next();
  await messages.next();
  if (first === undefined) throw new Error('Nothing came');
  await consumer.commit(first);
  expect(membership.offsetOf('t-0')).toBe(1);
  await consumer.commit([{ topic: 't', partition: 0, offset: 9, metadata: 'nine' }]);
  expect(await consumer.committed()).toEqual([
    { topic: 't', partition: 0, offset: 9, metadata: 'nine' },
  ]);
  await consumer.commit();
  expect(membership.offsetOf('t-0')).toBe(9);
  consumer.seek('t', 0, 2);
  await consumer.commit();
  expect(membership.offsetOf('t-0')).toBe(2);
  const strange = [{ topic: 't', partition: 5, offset: 0 }];
  expect(await rejectionOf(consumer.commit(strange))).toBeInstanceOf(RebalanceError);
  const wrong = consumer.commit({ offset: 1 } as never);
  expect(await rejectionOf(wrong)).toBeInstanceOf(InvalidArgumentError);
  await consumer.close();
  expect(await rejectionOf(consumer.commit())).toBeInstanceOf(ClosedError);
  expect(membership.offsetOf('t-0')).toBe(2);
});

test('commits overtake each other in no case', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0'], { autoCommit: false });
  const messages = consumer[Symbol.asyncIterator]();
  await messages.next();
  let failFirst: ((error: Error) => void) | undefined;
  membership.onCommit = () => new Promise((_, reject) => (failFirst = reject));
  const first = rejectionOf(consumer.commit());
  await until(() => failFirst !== undefined);
  await messages.next();
  const second = consumer.commit();
  membership.onCommit = () => Promise.resolve();
  failFirst?.(new RebalanceError('moved', { group: 'g' }));
  expect(await first).toBeInstanceOf(RebalanceError);
  await second;
  expect(membership.log.filter((line) => line.startsWith('commit'))).toEqual(['commit t-0@2']);
});

test('a background commit that fails is told of and tried again', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0'], { autoCommitIntervalMs: 1 });
  let failures = 0;
  membership.onCommit = () =>
    (failures += 1) < 3
      ? Promise.reject(new RebalanceError('moved', { group: 'g' }))
      : Promise.resolve();
  const messages = consumer[Symbol.asyncIterator]();
  for (let taken = 0; taken < 5; taken += 1) await messages.next();
  await until(() => membership.offsetOf('t-0') === 4);
  const told = harness().events.filter((e) => e.type === 'retry' && e.action === 'commit');
  expect(told.length).toBeGreaterThanOrEqual(2);
});

test('an offset that retention has removed goes on at what is left, and tells of it', async () => {
  await fill(1, 100);
  const held = harness().broker.topics.get('t')?.partitions[0];
  if (held === undefined) throw new Error('No partition');
  held.batches.splice(0, 2);
  held.startOffset = held.batches[0]?.header.baseOffset ?? 0;
  const { consumer, membership } = join(['t-0'], { from: 'end' });
  membership.committed.set('t-0', { offset: 1, leaderEpoch: 0, metadata: null, commitTimeMs: 0 });
  const { value } = await consumer[Symbol.asyncIterator]().next();
  expect(value?.offset).toBe(held.startOffset);
  expect(harness().events).toContainEqual(
    expect.objectContaining({
      type: 'warning',
      error: expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE', offset: 1 }),
    }),
  );
});

test('the membership knows when a message is handled and when the application waits', async () => {
  await fill(1, 3);
  const { consumer, membership } = join(['t-0']);
  const messages = consumer[Symbol.asyncIterator]();
  for (let taken = 1; taken <= 3; taken += 1) {
    await messages.next();
    expect(membership.handled).toBe(taken);
  }
  const waits = (): number => membership.log.filter((line) => line === 'idle').length;
  const before = waits();
  const next = messages.next();
  await until(() => waits() > before);
  await consumer.close();
  expect(await next).toEqual({ done: true, value: undefined });
});

test('what ends the membership surfaces before any further message', async () => {
  await fill(1, 100);
  const { consumer, membership } = join(['t-0']);
  const messages = consumer[Symbol.asyncIterator]();
  await messages.next();
  const lost: string[] = [];
  consumer.on('lost', (partitions) => {
    lost.push(...partitions.map(({ topic, partition }) => `${topic}-${partition}`));
  });
  const context = { group: 'g', maxPollIntervalMs: 1 };
  const error = new MaxPollIntervalExceededError('too long', context);
  membership.fail(error);
  expect(await rejectionOf(messages.next())).toBe(error);
  expect(lost).toEqual(['t-0']);
  expect(membership.left).toBe(true);
  expect(membership.offsetOf('t-0')).toBeUndefined();
});

test('a deleted topic ends no group: it is told of, and the group is asked to look', async () => {
  await fill(1, 5);
  const { broker, events } = harness();
  const { consumer, membership } = join(['t-0']);
  const messages = consumer[Symbol.asyncIterator]();
  for (let taken = 0; taken < 5; taken += 1) await messages.next();
  const next = messages.next();
  broker.topics.delete('t');
  await until(() => membership.log.includes('refresh topics'));
  expect(events.some((e) => e.type === 'warning' && e.error.topic === 't')).toBe(true);
  await consumer.close();
  await expect(next).resolves.toMatchObject({ done: true });
});

test('a topic that a broker did not know for a while is read on, when the group still has it', async () => {
  await fill(1, 5);
  const { broker, client } = harness();
  const { consumer, membership } = join(['t-0']);
  const messages = consumer[Symbol.asyncIterator]();
  for (let taken = 0; taken < 5; taken += 1) await messages.next();
  const next = messages.next();
  const topic = broker.topics.get('t');
  broker.topics.delete('t');
  await until(() => membership.log.includes('refresh topics'));
  if (topic !== undefined) broker.topics.set('t', topic);
  await client.producer().send('t', { value: 'sixth' });
  expect((await next).value?.value?.toString()).toBe('sixth');
});

test.each([
  [{ autocommit: true }, 'did you mean "autoCommit"?'],
  [{ exitAtEnd: true }, 'There is no group consumer option "exitAtEnd"'],
  [{ autoCommitIntervalMs: 0 }, 'autoCommitIntervalMs must be an integer of at least 1'],
  [{ autoCommit: 'no' }, 'autoCommit must be true or false'],
  [{ onOutOfRange: 'skip' }, 'onOutOfRange must be one of'],
])('options that do not fit are refused: %j', (options, message) => {
  const all = { group: 'g', topics: ['t'], ...options } as never;
  expect(() => harness().client.consumer(all)).toThrow(message);
});
