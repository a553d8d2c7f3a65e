import { expect, test } from '@jest/globals';
import { RebalanceError } from '@millrace/client';
import { member } from '../support/fake-membership.js';
import { numbers, rejectionOf, useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();

test('a message from before its partition was lost takes no position back when that has come again', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 1);
  const producer = client.producer();
  for (const value of numbers(10)) producer.enqueue('t', { value, partition: 0 });
  await producer.flush();
  const options = { maxWaitMs: 20, autoCommit: false };
  const { close, consumer, membership } = member(harness(), ['t-0'], options);
  const messages = consumer[Symbol.asyncIterator]();
  const { value: stale } = await messages.next();
  if (stale === undefined) throw new Error('Nothing came');
  await membership.lose('t-0');
  await membership.assign('t-0');
  // As far as others have come meanwhile.
  await consumer.commit([{ topic: 't', partition: 0, offset: 5 }]);
  expect(await rejectionOf(consumer.commit())).toBeInstanceOf(RebalanceError);
  expect(await rejectionOf(consumer.commit(stale))).toBeInstanceOf(RebalanceError);
  expect(membership.offsetOf('t-0')).toBe(5);
  await close();
});
