import { afterEach, expect, test } from '@jest/globals';
import { UnknownTopicError, type GroupConsumerOptions } from '@millrace/client';
import { Deferred } from '../../../client/src/util/async.js';
import { member, type Member } from '../support/fake-membership.js';
import { rejectionOf, until, useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();
const members: Member[] = [];

afterEach(async () => {
  await Promise.all(members.splice(0).map(({ close }) => close()));
});

function join(options: Partial<GroupConsumerOptions> = {}): Member {
  harness().broker.createTopic('t', 1);
  const joined = member(harness(), ['t-0'], { maxWaitMs: 20, ...options });
  members.push(joined);
  return joined;
}

test('a start that fails closes, and the iteration throws the same', async () => {
  const { consumer, membership } = join();
  const wrong = new UnknownTopicError('there is none', { topic: 't' });
  membership.lookUpTopics = () => Promise.reject(wrong);
  expect(await rejectionOf(consumer.start())).toBe(wrong);
  expect(membership.left).toBe(true);
  expect(await rejectionOf(consumer[Symbol.asyncIterator]().next())).toBe(wrong);
});

test('a start that fails while a hook is stuck waits for no hook', async () => {
  const { consumer, membership } = join();
  const hook = new Deferred<undefined>();
  const wrong = new Error('too long');
  const failed = new Deferred<undefined>();
  consumer.on('assigned', () => hook.promise);
  membership.lookUpTopics = async () => {
    void membership.assign('t-0');
    await failed.promise;
  };
  const started = rejectionOf(consumer.start());
  await until(() => membership.hooks.length === 1);
  failed.reject(wrong);
  expect(await started).toBe(wrong);
  expect(membership.left).toBe(true);
  hook.resolve(undefined);
});

test('a plain start that fails closes, and the iteration throws the same', async () => {
  const consumer = harness().client.consumer({ topics: ['t'], partitions: [7] });
  harness().broker.createTopic('t', 1);
  const error = await rejectionOf(consumer.start());
  expect(error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' });
  expect(await rejectionOf(consumer[Symbol.asyncIterator]().next())).toBe(error);
  const before = harness().broker.callsOf('fetch').length;
  await harness().client.close();
  expect(harness().broker.callsOf('fetch').length).toBe(before);
});

test('a static member leaves when it is told to, also after it was closed', async () => {
  const { consumer, membership } = join({ groupInstanceId: 'one' });
  await consumer.start();
  await consumer.close();
  expect(membership.log).toContain('leave');
  await consumer.close({ leave: true });
  expect(membership.log.at(-1)).toBe('leave: true');
  const other = join();
  const wrong = other.consumer.close({ leave: 'yes' as never });
  await expect(wrong).rejects.toThrow('leave must be true or false');
});
