import { afterEach, expect, test } from '@jest/globals';
import type { GroupConsumerOptions, Message } from '@millrace/client';
import { Deferred } from '../../../client/src/util/async.js';
import { member, type Member, type Name } from '../support/fake-membership.js';
import { numbers, until, useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();
const members: Member[] = [];

afterEach(async () => {
  await Promise.all(members.splice(0).map(({ close }) => close()));
});

function join(initial: readonly Name[], options: Partial<GroupConsumerOptions> = {}): Member {
  const joined = member(harness(), initial, { maxWaitMs: 20, ...options });
  members.push(joined);
  return joined;
}

async function fill(partitions: number, count: number): Promise<void> {
  const { broker, client } = harness();
  if (!broker.topics.has('t')) broker.createTopic('t', partitions);
  const producer = client.producer({ batchBytes: 300 });
  for (const value of numbers(count)) {
    for (let partition = 0; partition < partitions; partition += 1) {
      producer.enqueue('t', { value, partition });
    }
  }
  await producer.close();
}

const at = (offset: number) => ({ offset, leaderEpoch: 0, metadata: null, commitTimeMs: 0 });

test('a committed offset beyond the end is put right by what is handled', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0']);
  membership.committed.set('t-0', at(1_000));
  const messages = consumer[Symbol.asyncIterator]();
  for (let taken = 0; taken < 4; taken += 1) await messages.next();
  await consumer.close();
  expect(membership.offsetOf('t-0')).toBe(3);
});

test('a seek beyond the end that was committed does not hold up later commits', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0'], { autoCommitIntervalMs: 1 });
  await consumer.start();
  const messages = consumer[Symbol.asyncIterator]();
  consumer.seek('t', 0, 1_000);
  for (let taken = 0; taken < 4; taken += 1) await messages.next();
  await until(() => membership.offsetOf('t-0') === 3);
});

test('where the group begins is committed at once, so that nobody begins later', async () => {
  await fill(1, 10);
  const first = join(['t-0'], { from: 'end', autoCommit: false });
  await first.consumer.start();
  expect(first.membership.offsetOf('t-0')).toBe(10);
  const second = join(['t-0'], { autoCommit: false });
  await second.consumer.start();
  expect(second.membership.offsetOf('t-0')).toBeUndefined();
});

test('from the end is for what there is at the start: added partitions are read from 0', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0'], { from: 'end' });
  await consumer.start();
  const { broker } = harness();
  const added = broker.createTopic('added', 2);
  const held = broker.topics.get('t');
  held?.partitions.push(...added.partitions.slice(1));
  await harness()
    .client.admin.describeTopic('t')
    .catch(() => undefined);
  const producer = harness().connect().producer();
  for (const value of numbers(5)) await producer.send('t', { value, partition: 1 });
  await membership.assign('t-1');
  expect(consumer.position('t', 1)).toBe(0);
  expect(membership.offsetOf('t-1')).toBe(0);
});

test('a seek during a commit is not undone by it', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0'], { autoCommit: false });
  const messages = consumer[Symbol.asyncIterator]();
  for (let taken = 0; taken < 6; taken += 1) await messages.next();
  const letGo = new Deferred<undefined>();
  let asked = false;
  membership.onCommit = async () => {
    asked = true;
    await letGo.promise;
  };
  const first = consumer.commit();
  await until(() => asked);
  consumer.seek('t', 0, 2);
  letGo.resolve(undefined);
  await first;
  await consumer.commit();
  expect(membership.offsetOf('t-0')).toBe(2);
});

test('a message out of order takes no position back, but after a seek', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0'], { autoCommit: false });
  const messages = consumer[Symbol.asyncIterator]();
  const taken: (Message | undefined)[] = [];
  for (let count = 0; count < 5; count += 1) taken.push((await messages.next()).value);
  await consumer.commit(taken[4]);
  await consumer.commit(taken[1]);
  expect(membership.offsetOf('t-0')).toBe(5);
  consumer.seek('t', 0, 0);
  await consumer.commit(taken[1]);
  expect(membership.offsetOf('t-0')).toBe(2);
});

test('of several messages that are asked for at once none counts as handled too early', async () => {
  await fill(1, 300);
  const { consumer, membership } = join(['t-0'], { autoCommitIntervalMs: 1 });
  const messages = consumer[Symbol.asyncIterator]();
  const some = async (count: number): Promise<unknown[]> => {
    const results = await Promise.all(Array.from({ length: count }, () => messages.next()));
    return results.map(({ value }) => value?.offset);
  };
  const commits: (number | undefined)[] = [];
  membership.onCommit = (rows) => {
    commits.push(rows[0]?.offset);
    return Promise.resolve();
  };
  await messages.next();
  // Answered at once, out of what is prefetched.
  expect(await some(5)).toEqual([1, 2, 3, 4, 5]);
  await until(() => membership.offsetOf('t-0') === 1);
  expect(await some(2)).toEqual([6, 7]);
  await until(() => consumer.position('t', 0) === 8);
  // As many as ever: whoever asks has finished what came before.
  expect(await some(5)).toEqual([8, 9, 10, 11, 12]);
  await until(() => membership.offsetOf('t-0') === 8);
  await consumer.close();
  expect(commits.filter((offset) => offset !== 0)).toEqual([1, 8]);
});

test('batches that are asked for at once do not count as handled, either', async () => {
  await fill(1, 300);
  const { consumer, membership } = join(['t-0']);
  const batches = consumer.batches();
  await batches.next();
  const [second, third] = await Promise.all([batches.next(), batches.next()]);
  expect(third.value?.baseOffset).toBeGreaterThan(second.value?.baseOffset ?? Infinity);
  await consumer.close();
  expect(membership.offsetOf('t-0')).toBe(second.value?.baseOffset);
});
