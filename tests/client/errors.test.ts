import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { MessageTooLargeError, MillraceError } from '@millrace/client';
import { rejectionOf, useFakeBroker } from './support/harness.js';

const harness = useFakeBroker();

test('an error shows only what it knows', () => {
  const bare = new MillraceError('CLOSED', 'The client is closed', false);
  expect(inspect(bare)).not.toContain('undefined');
  expect(Object.keys(bare)).not.toContain('broker');
  const full = new MillraceError('CLOSED', 'x', false, { broker: 'b:1', partition: 0 });
  expect(full).toMatchObject({ broker: 'b:1', partition: 0 });
  expect(Object.keys(full)).not.toContain('topic');
});

test('a send result has no field for what is not known', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const sent = await client.producer().send('t', { value: 'v' });
  expect(Object.keys(sent)).toEqual(['topic', 'partition', 'offset']);
});

test('refusals of admin calls name the broker, once', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const refused = [
    client.admin.createTopic({ name: 't' }),
    client.admin.createTopic({ name: '..' }),
    client.admin.deleteTopic('nope'),
    client.admin.describeTopic('nope'),
    client.admin.offsets('nope'),
  ];
  for (const error of await Promise.all(refused.map(rejectionOf))) {
    expect(error).toMatchObject({ broker: broker.address });
    expect((error as Error).message.split(broker.address)).toHaveLength(2);
  }
});

test('a message that is too large is one sentence, without the words of every layer', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.maxMessageBytes = 1_000;
  const error = await rejectionOf(client.producer().send('t', { value: 'x'.repeat(2_000) }));
  expect(error).toBeInstanceOf(MessageTooLargeError);
  expect((error as Error).message).toMatch(
    /^A message for t-0 takes \d+ bytes, more than the topic accepts \(max\.message\.bytes\); /,
  );
  expect((error as Error).message.match(/: /g)).toBeNull();
});

test('a failed delivery gives its reason once', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.intercept = ({ api }) =>
    api === 'produce' ? { kind: 'row-error', name: 'PARTITION_OFFLINE' } : undefined;
  const error = await rejectionOf(client.producer().send('t', { value: 'v' }));
  expect((error as Error).message).toBe(
    '1 message for t-0 was not delivered, for the broker refuses it (1 attempt): The partition ' +
      `is offline after a failed write or sync; restart the broker (broker ${broker.address})`,
  );
});

test('names are cut where they are too long to read', async () => {
  const name = 'x'.repeat(5_000);
  const error = await rejectionOf(harness().client.producer().send(name, { value: 'v' }));
  expect((error as Error).message.length).toBeLessThan(300);
  expect(error).toMatchObject({ topic: name });
});
