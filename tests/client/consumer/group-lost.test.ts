import { afterEach, expect, test } from '@jest/globals';
import { RebalanceError, type GroupConsumerOptions } from '@millrace/client';
import { Deferred } from '../../../client/src/util/async.js';
import { member, type Member, type Name } from '../support/fake-membership.js';
import { numbers, rejectionOf, until, useFakeBroker } from '../support/harness.js';

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
  broker.createTopic('t', partitions);
  const producer = client.producer({ batchBytes: 300 });
  for (const value of numbers(count)) {
    for (let partition = 0; partition < partitions; partition += 1) {
      producer.enqueue('t', { value, partition });
    }
  }
  await producer.flush();
}

const at = (offset: number) => ({ offset, leaderEpoch: 0, metadata: null, commitTimeMs: 0 });

test('what is cut off gives out and commits nothing more, though a hook is still running', async () => {
  await fill(2, 100);
  const { consumer, membership } = join(['t-0']);
  const messages = consumer[Symbol.asyncIterator]();
  const { value: first } = await messages.next();
  await messages.next();
  const hook = new Deferred<undefined>();
  consumer.on('assigned', () => hook.promise);
  const assigning = membership.assign('t-1');
  membership.cutOff('t-0', 't-1');
  expect(consumer.assignment).toEqual([]);
  const next = messages.next();
  // Others have read on, and then it comes back.
  membership.committed.set('t-0', at(90));
  expect(await rejectionOf(consumer.commit())).toBeInstanceOf(RebalanceError);
  hook.resolve(undefined);
  await assigning;
  await membership.assign('t-0');
  expect((await next).value).toMatchObject({ partition: 0, offset: 90 });
  await consumer.commit(first);
  expect(membership.offsetOf('t-0')).toBe(90);
  await consumer.close();
  expect(membership.offsetOf('t-0')).toBe(90);
});

test('what was given out before a partition was lost cannot be committed when it is back', async () => {
  await fill(1, 100);
  const { consumer, membership } = join(['t-0']);
  const messages = consumer[Symbol.asyncIterator]();
  for (let taken = 0; taken < 20; taken += 1) await messages.next();
  const { value: message } = await messages.next();
  await membership.lose('t-0');
  await membership.assign('t-0');
  expect(await rejectionOf(consumer.commit())).toBeInstanceOf(RebalanceError);
  expect(await rejectionOf(consumer.commit(message))).toBeInstanceOf(RebalanceError);
  expect(membership.offsetOf('t-0') ?? 0).toBe(0);
});

test('what is cut off while its start is looked up is not read', async () => {
  await fill(1, 10);
  const { consumer, membership } = join([]);
  await consumer.start();
  const assigning = membership.assign('t-0');
  membership.cutOff('t-0');
  await assigning;
  expect(consumer.assignment).toEqual([]);
});

test('a revocation that waits for the handler ends as lost when it is cut off', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0']);
  const told: string[] = [];
  for (const event of ['revoked', 'lost'] as const) consumer.on(event, () => told.push(event));
  const messages = consumer[Symbol.asyncIterator]();
  await messages.next();
  const revoking = membership.revoke('t-0');
  membership.cutOff('t-0');
  await revoking;
  expect(told).toEqual(['lost']);
  expect(membership.committed.size).toBe(0);
});

test('hooks are told of to the membership, by name and partitions', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0']);
  const never = new Deferred<undefined>();
  consumer.on('assigned', () => undefined);
  consumer.on('lost', () => never.promise);
  await consumer.start();
  const losing = membership.lose('t-0');
  await until(() => membership.hooks.length === 3);
  expect(membership.hooks).toEqual(['the assigned hook of t-0', 'done', 'the lost hook of t-0']);
  never.resolve(undefined);
  await losing;
});
