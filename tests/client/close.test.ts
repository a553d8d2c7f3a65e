import { expect, test } from '@jest/globals';
import { ClosedError, DeliveryError } from '@millrace/client';
import { numbers, rejectionOf, until, useFakeBroker, valuesOf } from './support/harness.js';

const harness = useFakeBroker();

test('close sends what was taken before it', async () => {
  const { broker, client, connect } = harness();
  broker.createTopic('t');
  const other = connect();
  const producer = other.producer({ lingerMs: 60_000 });
  for (const value of numbers(100)) producer.enqueue('t', { value });
  await other.close();
  expect(await valuesOf(client, 't')).toEqual(numbers(100));
});

test('close ends in bounded time with a dead broker, and says what was not delivered', async () => {
  const { broker, connect } = harness();
  broker.createTopic('t');
  const client = connect({ closeTimeoutMs: 50 });
  const producer = client.producer({ retryBackoffMs: 1 });
  await producer.send('t', { value: 'a' });
  await broker.stop();
  const sent = rejectionOf(producer.send('t', { value: 'b' }));
  producer.enqueue('t', { value: 'c' });
  const error = await rejectionOf(client.close());
  expect(error).toBeInstanceOf(DeliveryError);
  expect((error as Error).message).toContain('closed');
  expect(await sent).toBeInstanceOf(DeliveryError);
});

test('close ends in bounded time when the broker never answers, nor ever was there', async () => {
  const { broker, connect } = harness();
  broker.intercept = () => ({ kind: 'ignore' });
  const client = connect({ closeTimeoutMs: 50 });
  const sent = rejectionOf(client.producer().send('t', { value: 'a' }));
  const reading = client
    .consumer({ topics: ['t'] })
    [Symbol.asyncIterator]()
    .next();
  await until(() => broker.calls.length > 0);
  await client.close();
  expect(await sent).toMatchObject({ code: 'CLOSED' });
  await expect(reading).resolves.toEqual({ done: true, value: undefined });
});

test('a closed producer, consumer or client refuses work with a typed error', async () => {
  const { broker, connect } = harness();
  broker.createTopic('t');
  const client = connect();
  const producer = client.producer();
  await producer.close();
  expect(() => producer.enqueue('t', { value: 'v' })).toThrow(ClosedError);
  await expect(producer.send('t', { value: 'v' })).rejects.toBeInstanceOf(ClosedError);
  await client.close();
  await client.close();
  expect(() => client.producer()).toThrow(ClosedError);
  await expect(client.admin.listTopics()).rejects.toBeInstanceOf(ClosedError);
});

test('await using closes everything', async () => {
  const { broker, client, connect } = harness();
  broker.createTopic('t');
  {
    const other = connect();
    await using scoped = { [Symbol.asyncDispose]: () => other[Symbol.asyncDispose]() };
    expect(scoped).toBeDefined();
    other.producer({ lingerMs: 60_000 }).enqueue('t', { value: 'v' });
  }
  expect(await valuesOf(client, 't')).toEqual(['v']);
});

test('sends that wait for room are refused by close', async () => {
  const { broker, connect } = harness();
  broker.createTopic('t');
  broker.intercept = ({ api }) => (api === 'produce' ? { kind: 'ignore' } : undefined);
  const client = connect({ closeTimeoutMs: 20 });
  const producer = client.producer({ bufferBytes: 2_000 });
  const all = numbers(10).map((text) =>
    rejectionOf(producer.send('t', { value: text.padEnd(800) })),
  );
  await until(() => broker.callsOf('produce').length > 0);
  await producer.close().catch(() => undefined);
  for (const error of await Promise.all(all)) {
    expect(['CLOSED', 'DELIVERY_FAILED']).toContain((error as { code: string }).code);
  }
});
