import { expect, test } from '@jest/globals';
import {
  AcknowledgedLossError,
  DeliveryError,
  type DeliveryFailure,
  type MillraceError,
} from '@millrace/client';
import type { ProduceRequest } from '@millrace/protocol';
import { numbers, onNth, rejectionOf, until, useFakeBroker, valuesOf } from '../support/harness.js';

const harness = useFakeBroker();

/** Sends in many small batches, with several of them under way. */
async function sendMany(count: number): Promise<void> {
  const producer = harness().client.producer({ batchBytes: 300, retryBackoffMs: 1 });
  const all = numbers(count).map((value) => producer.send('t', { value }));
  await Promise.all(all);
}

test.each([
  ['a lost connection before the request is done', { kind: 'cut' }],
  ['a lost connection after the request is done', { kind: 'cut-after' }],
  ['a retriable refusal', { kind: 'row-error', name: 'STORAGE_ERROR' }],
  ['a wrong leader', { kind: 'row-error', name: 'NOT_LEADER_OR_FOLLOWER' }],
  ['an overloaded broker', { kind: 'error', name: 'OVERLOADED' }],
] as const)('%s neither loses, doubles nor reorders anything', async (_, fault) => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.intercept = onNth('produce', [2, 3, 5, 6, 11], fault);
  await sendMany(1_000);
  expect(await valuesOf(client, 't')).toEqual(numbers(1_000));
});

test('a lost response is answered from memory when the batch is sent again', async () => {
  const { broker, client, connect } = harness();
  const topic = broker.createTopic('t');
  broker.intercept = onNth('produce', [1], { kind: 'lose-response' });
  const impatient = connect({ requestTimeoutMs: 100 });
  const sent = await impatient.producer({ retryBackoffMs: 1 }).send('t', { value: 'once' });
  expect(sent.offset).toBe(0);
  expect(topic.partitions[0]?.duplicates).toBe(1);
  expect(await valuesOf(client, 't')).toEqual(['once']);
  const repeated = broker.callsOf('produce').map(({ connection }) => connection);
  expect(new Set(repeated).size).toBe(2);
});

test('random faults neither lose, double nor reorder anything', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const seed = Date.now() % 1_000_000;
  let state = seed;
  const random = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  broker.intercept = ({ api }) => {
    if (api !== 'produce' || random() > 0.2) return undefined;
    const faults = ['cut', 'cut-after', 'row-error'] as const;
    const kind = faults[Math.floor(random() * 3)] ?? 'cut';
    return kind === 'row-error' ? { kind, name: 'REQUEST_TIMED_OUT' } : { kind };
  };
  await sendMany(3_000);
  broker.intercept = undefined;
  const values = await valuesOf(client, 't');
  expect({ seed, values }).toEqual({ seed, values: numbers(3_000) });
});

test('a killed and restarted broker is survived in the middle of production', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer({ acks: 1, batchBytes: 2_000, retryBackoffMs: 1 });
  const total = 20_000;
  let restarted: Promise<void> | undefined;
  for (const value of numbers(total)) {
    if (!producer.enqueue('t', { value })) await producer.ready();
    if (value === '10000') {
      await until(() => broker.callsOf('produce').length > 5);
      restarted = broker.stop().then(() => broker.listen());
    }
  }
  await restarted;
  await producer.flush();
  expect(await valuesOf(client, 't')).toEqual(numbers(total));
});

test('a lost tail bumps the epoch, is reported with its partition, and delivery goes on', async () => {
  const { broker, client } = harness();
  const topic = broker.createTopic('t');
  const told: { error: MillraceError; failure: DeliveryFailure }[] = [];
  const onError = (error: MillraceError, failure: DeliveryFailure): number =>
    told.push({ error, failure });
  const producer = client.producer({ acks: 1, retryBackoffMs: 1, onError });
  for (const value of numbers(4)) await producer.send('t', { value });
  topic.partitions[0]?.loseTail(2);
  const sent = await producer.send('t', { value: 'after' });
  expect(sent.offset).toBeGreaterThan(3);
  await producer.send('t', { value: 'more' });
  expect(told).toHaveLength(1);
  expect(told[0]?.error).toBeInstanceOf(AcknowledgedLossError);
  expect(told[0]?.error).toMatchObject({
    topic: 't',
    partition: 0,
    lastAcknowledgedOffset: 3,
  });
  expect(await valuesOf(client, 't')).toEqual(['0', '1', 'after', 'more']);
  expect(broker.callsOf('initProducerId').map(({ request }) => request)).toEqual([
    { producerId: -1, producerEpoch: -1 },
    { producerId: 1, producerEpoch: 0 },
  ]);
});

test('a whole lost log with batches under way goes on in order', async () => {
  const { broker, client } = harness();
  const topic = broker.createTopic('t');
  const told: MillraceError[] = [];
  const producer = client.producer({
    acks: 1,
    batchBytes: 300,
    retryBackoffMs: 1,
    onError: (error) => told.push(error),
  });
  await producer.send('t', { value: 'lost' });
  topic.partitions[0]?.loseTail(1);
  const all = numbers(200).map((value) => producer.send('t', { value }));
  await Promise.all(all);
  expect(told.map(({ code }) => code)).toEqual(['ACKNOWLEDGED_LOSS']);
  expect(await valuesOf(client, 't')).toEqual(numbers(200));
});

test('a batch given up for good makes no later one fail, and is no loss', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.intercept = onNth('produce', [2], { kind: 'row-error', name: 'INVALID_RECORD' });
  const told: MillraceError[] = [];
  const producer = client.producer({ retryBackoffMs: 1, onError: (error) => told.push(error) });
  await producer.send('t', { value: 'a' });
  const refused = await rejectionOf(producer.send('t', { value: 'refused' }));
  expect(refused).toBeInstanceOf(DeliveryError);
  expect(refused).toMatchObject({ topic: 't', partition: 0, attempts: 1 });
  expect((refused as Error).cause).toMatchObject({
    code: 'INVALID_RECORD',
    broker: broker.address,
  });
  await producer.send('t', { value: 'b' });
  expect(told).toEqual([]);
  expect(await valuesOf(client, 't')).toEqual(['a', 'b']);
});

test('the delivery timeout ends retries with an error that names everything', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.intercept = ({ api }) =>
    api === 'produce' ? { kind: 'row-error', name: 'DISK_FULL' } : undefined;
  const producer = client.producer({ deliveryTimeoutMs: 200, retryBackoffMs: 10 });
  const error = await rejectionOf(producer.send('t', { value: 'v' }));
  expect(error).toBeInstanceOf(DeliveryError);
  const { message, attempts, cause } = error as DeliveryError;
  expect(message).toContain('t-0');
  expect(message).toContain(broker.address);
  expect(attempts).toBeGreaterThan(1);
  expect(cause).toMatchObject({ code: 'DISK_FULL' });
  expect(producer.bufferedBytes).toBe(0);
});

test('failures of enqueued messages reach onError and reject the next flush, once', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.intercept = onNth('produce', [1], { kind: 'row-error', name: 'INVALID_TIMESTAMP' });
  const told: DeliveryFailure[] = [];
  const producer = client.producer({ onError: (_, failure) => told.push(failure) });
  producer.enqueue('t', { value: 'a' });
  producer.enqueue('t', { value: 'b' });
  await expect(producer.flush()).rejects.toMatchObject({ code: 'DELIVERY_FAILED' });
  expect(told).toEqual([{ topic: 't', partition: 0, messageCount: 2 }]);
  producer.enqueue('t', { value: 'c' });
  await producer.flush();
  expect(await valuesOf(client, 't')).toEqual(['c']);
});

test('a topic that does not exist fails at once', async () => {
  const { client } = harness();
  const producer = client.producer();
  await expect(producer.send('nope', { value: 'v' })).rejects.toMatchObject({
    code: 'UNKNOWN_TOPIC_OR_PARTITION',
    topic: 'nope',
  });
  producer.enqueue('neither', { value: 'v' });
  await expect(producer.flush()).rejects.toThrow('There is no topic "neither"');
});

test('a topic that was made anew is produced to from sequence 0', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer({ retryBackoffMs: 1 });
  for (const value of numbers(3)) await producer.send('t', { value });
  broker.createTopic('t');
  await expect(producer.send('t', { value: 'new' })).resolves.toMatchObject({ offset: 0 });
  expect(await valuesOf(client, 't')).toEqual(['new']);
});

test('partitions that are ready together share a request', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 8);
  const producer = client.producer();
  await producer.send('t', { value: 'warm', partition: 0 });
  const before = broker.callsOf('produce').length;
  await Promise.all(
    numbers(8).map((value) => producer.send('t', { value, partition: Number(value) })),
  );
  const [call, ...more] = broker.callsOf('produce').slice(before);
  expect(more).toEqual([]);
  expect((call?.request as ProduceRequest).entries).toHaveLength(8);
});

test('lingering gathers messages; a flush does not wait for it', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer({ lingerMs: 60_000 });
  const sent = producer.send('t', { value: 'a' });
  await new Promise((resolve) => setImmediate(resolve));
  producer.enqueue('t', { value: 'b' });
  await producer.flush();
  await sent;
  expect(broker.callsOf('produce')).toHaveLength(1);
});

test('acks 0 gets no answer and no offset', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer({ acks: 0 });
  await expect(producer.send('t', { value: 'v' })).resolves.toMatchObject({ offset: -1 });
  await producer.flush();
  await until(() => broker.callsOf('produce').length === 1);
  expect(broker.callsOf('initProducerId')).toEqual([]);
  expect(await valuesOf(client, 't')).toEqual(['v']);
});
