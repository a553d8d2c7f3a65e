import { expect, test } from '@jest/globals';
import { UnknownTopicError } from '@millrace/client';
import { rejectionOf, until, useFakeBroker, valuesOf } from '../support/harness.js';

const harness = useFakeBroker();

test('once a topic is known to be gone, more for it is refused at once', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const failures: string[] = [];
  const producer = client.producer({ onError: (error) => failures.push(error.message) });
  await producer.send('t', { value: 'before' });
  broker.topics.delete('t');
  producer.enqueue('t', { value: 'lost' });
  await until(() => failures.length > 0);
  const asked = broker.callsOf('metadata').length;
  expect(() => producer.enqueue('t', { value: 'refused' })).toThrow(UnknownTopicError);
  expect(await rejectionOf(producer.send('t', { value: 'refused' }))).toMatchObject({
    code: 'UNKNOWN_TOPIC_OR_PARTITION',
    topic: 't',
  });
  const several = producer.sendBatch('t', [{ value: 'a' }, { value: 'b' }]);
  expect(await rejectionOf(several)).toBeInstanceOf(UnknownTopicError);
  expect(broker.callsOf('metadata').length).toBe(asked);
  expect(producer.bufferedBytes).toBe(0);
  // Whoever waits for room is not held up by it either.
  await producer.ready();
});

test('the verdict is not for ever: a topic that others create is found', async () => {
  const { broker, client } = harness();
  const producer = client.producer({ retryBackoffMs: 20 });
  expect(await rejectionOf(producer.send('t', { value: 'early' }))).toBeInstanceOf(
    UnknownTopicError,
  );
  broker.createTopic('t');
  let sent = false;
  while (!sent) {
    sent = await producer.send('t', { value: 'there' }).then(
      () => true,
      () => new Promise<boolean>((resolve) => setImmediate(() => resolve(false))),
    );
  }
  expect(await valuesOf(client, 't')).toEqual(['there']);
});

test('a topic that this client creates can be used at once', async () => {
  const { client } = harness();
  const producer = client.producer({ retryBackoffMs: 1_000 });
  await rejectionOf(producer.send('t', { value: 'early' }));
  expect(() => producer.enqueue('t', { value: 'refused' })).toThrow(UnknownTopicError);
  await client.admin.createTopic({ name: 't' });
  expect(await producer.send('t', { value: 'there' })).toMatchObject({ offset: 0 });
});
