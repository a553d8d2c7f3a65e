import { afterEach, expect, test } from '@jest/globals';
import { RebalanceError, type GroupConsumerOptions, type Message } from '@millrace/client';
import { member, type Member, type Name } from '../support/fake-membership.js';
import { numbers, rejectionOf, until, useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();
const members: Member[] = [];

afterEach(async () => {
  await Promise.all(members.splice(0).map(({ close }) => close()));
});

function join(
  initial: readonly Name[],
  options: Partial<GroupConsumerOptions> = {},
  closeTimeoutMs?: number,
): Member {
  const joined = member(harness(), initial, { maxWaitMs: 20, ...options }, closeTimeoutMs);
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

/** Reads on until a message of the partition is in hand. */
async function inHand(messages: AsyncIterator<Message, undefined>, partition: number) {
  for (;;) {
    const { value } = await messages.next();
    if (value === undefined) throw new Error('It ended');
    if (value.partition === partition) return value;
  }
}

const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a partition moves when the message in hand is handled, and is committed then', async () => {
  await fill(2, 100, 1_000_000);
  const { consumer, membership } = join(['t-0', 't-1']);
  const messages = consumer[Symbol.asyncIterator]();
  const { offset } = await inHand(messages, 0);
  consumer.on('revoked', async (partitions) => {
    await nextTick();
    membership.log.push(`hook ${partitions.map(({ partition }) => partition).join()}`);
  });
  let revoked = false;
  const revoking = membership.revoke('t-0').then(() => (revoked = true));
  for (let tick = 0; tick < 20; tick += 1) await nextTick();
  expect(revoked).toBe(false);
  expect(membership.offsetOf('t-0')).toBeUndefined();
  const { value } = await messages.next();
  expect(value?.partition).toBe(1);
  await revoking;
  expect(membership.log.filter((line) => line !== 'idle')).toEqual([
    'hook 0',
    `commit t-0@${offset + 1}`,
    'revoked t-0',
  ]);
  for (let taken = 0; taken < 50; taken += 1) {
    expect((await messages.next()).value?.partition).toBe(1);
  }
  expect(consumer.assignment).toEqual([{ topic: 't', partition: 1 }]);
});

test('a partition of which nothing is in hand moves at once', async () => {
  await fill(2, 100);
  const { consumer, membership } = join(['t-0', 't-1']);
  const messages = consumer[Symbol.asyncIterator]();
  const value = await inHand(messages, 1);
  await membership.revoke('t-0');
  expect(membership.offsetOf('t-0')).toBeDefined();
  expect(await inHand(messages, 1)).toMatchObject({ offset: value.offset + 1 });
});

test('a batch in hand holds its partition, too', async () => {
  await fill(1, 100);
  const { consumer, membership } = join(['t-0']);
  const batches = consumer.batches();
  const { value: batch } = await batches.next();
  const revoking = membership.revoke('t-0');
  const next = batches.next();
  await revoking;
  expect(membership.offsetOf('t-0')).toBe((batch?.lastOffset ?? 0) + 1);
  await consumer.close();
  expect((await next).done).toBe(true);
});

test('a handler can commit while its partition is being taken away, and not after', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0'], { autoCommit: false });
  const messages = consumer[Symbol.asyncIterator]();
  const { value: message } = await messages.next();
  const revoking = membership.revoke('t-0');
  await consumer.commit();
  expect(membership.offsetOf('t-0')).toBe(1);
  const next = messages.next();
  await revoking;
  expect(await rejectionOf(consumer.commit(message))).toBeInstanceOf(RebalanceError);
  await consumer.close();
  await next;
});

test('commit() of a message whose partition was lost says so', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0']);
  const messages = consumer[Symbol.asyncIterator]();
  await messages.next();
  await membership.lose('t-0');
  expect(await rejectionOf(consumer.commit())).toBeInstanceOf(RebalanceError);
  expect(membership.committed.size).toBe(0);
  await consumer.close();
  expect(membership.committed.size).toBe(0);
});

test('the assigned hook runs before the first message, and may seek and pause', async () => {
  await fill(2, 10);
  const { consumer, membership } = join(['t-0', 't-1']);
  const off = consumer.on('assigned', async (partitions) => {
    const fetches = harness().broker.callsOf('fetch').length;
    await nextTick();
    expect(partitions).toHaveLength(2);
    expect(consumer.position('t', 0)).toBe(0);
    consumer.seek('t', 0, 6);
    consumer.pause([{ topic: 't', partition: 1 }]);
    await nextTick();
    expect(harness().broker.callsOf('fetch').length).toBe(fetches);
  });
  const messages = consumer[Symbol.asyncIterator]();
  const { value } = await messages.next();
  expect(value).toMatchObject({ partition: 0, offset: 6 });
  off();
  await membership.revoke('t-1');
  await membership.assign('t-1');
  expect(await inHand(messages, 1)).toMatchObject({ offset: 0 });
});

test('what a hook throws surfaces, and what revoked fails to store is not committed', async () => {
  const wrong = new Error('no room');
  const throwing = (): never => {
    throw wrong;
  };
  await fill(1, 100);
  const first = join(['t-0']);
  first.consumer.on('assigned', throwing);
  expect(await rejectionOf(first.consumer[Symbol.asyncIterator]().next())).toBe(wrong);
  expect(first.membership.left).toBe(true);
  const second = join(['t-0']);
  const messages = second.consumer[Symbol.asyncIterator]();
  await messages.next();
  second.consumer.on('revoked', throwing);
  const revoking = second.membership.revoke('t-0');
  expect(await rejectionOf(messages.next())).toBe(wrong);
  await revoking;
  expect(second.membership.committed.size).toBe(0);
  const third = join(['t-0']);
  await third.consumer.start();
  third.consumer.on('revoked', throwing);
  expect(await rejectionOf(third.consumer.close())).toBe(wrong);
  expect(third.membership.committed.size).toBe(0);
  expect(third.membership.left).toBe(true);
});

test('close runs the revoked hooks, commits and leaves, and waits for no handler', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0']);
  consumer.on('revoked', () => membership.log.push('hook'));
  const messages = consumer[Symbol.asyncIterator]();
  await messages.next();
  await messages.next();
  await Promise.all([consumer.close(), consumer.close()]);
  const log = membership.log.filter((line) => line !== 'idle');
  expect(log).toEqual(['hook', 'commit t-0@1', 'leave']);
  expect(await messages.next()).toEqual({ done: true, value: undefined });
});

test('close during a revocation that waits for the handler ends it', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0']);
  const messages = consumer[Symbol.asyncIterator]();
  await messages.next();
  await messages.next();
  const revoking = membership.revoke('t-0');
  await consumer.close();
  await revoking;
  expect(membership.offsetOf('t-0')).toBe(1);
});

test('close ends in bounded time when commits and hooks do not', async () => {
  await fill(1, 10);
  const never = new Promise<void>(() => undefined);
  const { consumer, membership } = join(['t-0'], {}, 20);
  membership.onCommit = () => never;
  await consumer[Symbol.asyncIterator]().next();
  await consumer.close();
  expect(membership.left).toBe(true);
  const other = join(['t-0'], {}, 20);
  other.consumer.on('revoked', () => never);
  await other.consumer.start();
  await other.consumer.close();
  expect(other.membership.left).toBe(true);
});

test('an exception in the loop leaves the message in hand uncommitted', async () => {
  await fill(1, 10);
  const { consumer, membership } = join(['t-0']);
  const wrong = new Error('cannot handle it');
  const reading = (async () => {
    for await (const { offset } of consumer) if (offset === 5) throw wrong;
  })();
  expect(await rejectionOf(reading)).toBe(wrong);
  expect(membership.offsetOf('t-0')).toBe(5);
  expect(membership.left).toBe(true);
});

test('an aborted signal leaves the group and surfaces as its reason', async () => {
  await fill(1, 3);
  const controller = new AbortController();
  const { consumer, membership } = join(['t-0'], { signal: controller.signal });
  const reason = new Error('enough');
  const reading = (async () => {
    for await (const { offset } of consumer) {
      if (offset === 2) setImmediate(() => controller.abort(reason));
    }
  })();
  expect(await rejectionOf(reading)).toBe(reason);
  await until(() => membership.left);
  expect(membership.offsetOf('t-0')).toBe(3);
});

test('partitions that come and go while reading are read without loss or doubles', async () => {
  await fill(3, 500);
  const { consumer, membership } = join(['t-0', 't-1', 't-2'], { maxBytes: 2_000 });
  await consumer.start();
  const seen = new Set<string>();
  let moves = 0;
  const moving = (async () => {
    for (; moves < 30; moves += 1) {
      const name: Name = `t-${moves % 3}`;
      await membership.revoke(name);
      await nextTick();
      await membership.assign(name);
    }
  })();
  for await (const { partition, offset } of consumer) {
    const key = `${partition}:${offset}`;
    expect(seen.has(key)).toBe(false);
    seen.add(key);
    if (seen.size % 20 === 0) await nextTick();
    if (seen.size === 1_500) break;
  }
  await moving.catch(() => undefined);
  expect(moves).toBeGreaterThan(5);
});
