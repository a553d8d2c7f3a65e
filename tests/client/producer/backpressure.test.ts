import { expect, test } from '@jest/globals';
import { BufferFullError } from '@millrace/client';
import { numbers, rejectionOf, until, useFakeBroker, valuesOf } from '../support/harness.js';

const harness = useFakeBroker();
const KiB = 1024;

test('enqueue never holds more than bufferBytes, and says so with a typed error', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.intercept = ({ api }) => (api === 'produce' ? { kind: 'ignore' } : undefined);
  const producer = client.producer({ bufferBytes: 256 * KiB, batchBytes: 16 * KiB });
  producer.enqueue('t', { value: 'first' });
  await producer.ready();
  let refused: unknown;
  let said = true;
  let taken = 0;
  while (refused === undefined) {
    try {
      said = producer.enqueue('t', { value: Buffer.alloc(1000) });
      taken += 1;
    } catch (error) {
      refused = error;
    }
    expect(producer.bufferedBytes).toBeLessThanOrEqual(256 * KiB);
  }
  expect(refused).toBeInstanceOf(BufferFullError);
  expect(said).toBe(false);
  expect(taken).toBeGreaterThan(200);
});

test('ready() resolves when there is room again, and everything arrives in order', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer({ bufferBytes: 64 * KiB, batchBytes: 4 * KiB });
  let waits = 0;
  for (const value of numbers(20_000)) {
    if (!producer.enqueue('t', { value })) {
      waits += 1;
      await producer.ready();
    }
  }
  await producer.flush();
  expect(waits).toBeGreaterThan(5);
  expect(await valuesOf(client, 't')).toEqual(numbers(20_000));
});

test('send waits in line while the buffer is full, and order is kept', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  broker.intercept = ({ api }) => (api === 'produce' ? { kind: 'delay', until: gate } : undefined);
  const producer = client.producer({ bufferBytes: 8 * KiB, batchBytes: 2 * KiB });
  const all = numbers(500).map((text) => producer.send('t', { value: text.padEnd(100) }));
  await until(() => broker.callsOf('produce').length > 0);
  expect(producer.bufferedBytes).toBeLessThanOrEqual(8 * KiB);
  expect(() => producer.enqueue('t', { value: 'no overtaking' })).toThrow(BufferFullError);
  release();
  const sent = await Promise.all(all);
  expect(sent.map(({ offset }) => offset)).toEqual(sent.map((_, index) => index));
  expect((await valuesOf(client, 't')).map((text) => text.trim())).toEqual(numbers(500));
});

test('an aborted send leaves the line and is never sent', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  broker.intercept = ({ api }) => (api === 'produce' ? { kind: 'delay', until: gate } : undefined);
  const producer = client.producer({ bufferBytes: 4 * KiB, batchBytes: 2 * KiB });
  const first = [...numbers(3)].map((value) => producer.send('t', { value: value.padEnd(1100) }));
  const controller = new AbortController();
  const aborted = producer.send('t', { value: 'x'.repeat(2000) }, { signal: controller.signal });
  const after = producer.send('t', { value: 'after' });
  const reason = new Error('changed my mind');
  controller.abort(reason);
  expect(await rejectionOf(aborted)).toBe(reason);
  release();
  await Promise.all([...first, after]);
  expect((await valuesOf(client, 't')).map((text) => text.trim())).toEqual([
    ...numbers(3),
    'after',
  ]);
});

test('a thousand sends may share one signal', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const warnings: Error[] = [];
  const listen = (warning: Error): number => warnings.push(warning);
  process.on('warning', listen);
  const { signal } = new AbortController();
  const producer = client.producer();
  await Promise.all(numbers(1_000).map((value) => producer.send('t', { value }, { signal })));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  expect(warnings).toEqual([]);
});

test('a signal that is aborted already sends nothing', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const signal = AbortSignal.abort(new Error('no'));
  await expect(client.producer().send('t', { value: 'v' }, { signal })).rejects.toThrow('no');
  expect(broker.callsOf('produce')).toHaveLength(0);
});

test('a message that is too large is refused at once', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer({ maxMessageBytes: 1000 });
  const value = 'x'.repeat(1001);
  await expect(producer.send('t', { value })).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
  expect(() => producer.enqueue('t', { value })).toThrow(/maxMessageBytes/);
  await producer.send('t', { value: 'x'.repeat(1000) });
});

test('a batch that the topic finds too large is halved until it fits', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.maxMessageBytes = 2_000;
  const producer = client.producer();
  const values = numbers(100).map((text) => text.padEnd(90, '.'));
  const sent = await Promise.all(values.map((value) => producer.send('t', { value })));
  expect(sent.map(({ offset }) => offset)).toEqual(values.map((_, index) => index));
  expect(await valuesOf(client, 't')).toEqual(values);
  const tooLarge = producer.send('t', { value: 'x'.repeat(3_000) });
  await expect(tooLarge).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
  await expect(producer.send('t', { value: 'next' })).resolves.toMatchObject({ offset: 100 });
});

test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
  '%s batches come out as they went in',
  async (compression) => {
    const { broker, client } = harness();
    broker.createTopic('t');
    const producer = client.producer({ compression });
    for (const value of numbers(5_000)) producer.enqueue('t', { key: value, value });
    await producer.flush();
    expect(producer.bufferedBytes).toBe(0);
    expect(await valuesOf(client, 't')).toEqual(numbers(5_000));
  },
);

test('wrong input is refused with the name of what is wrong', () => {
  const { client } = harness();
  expect(() => client.producer({ lingerMs: -1 })).toThrow(/lingerMs/);
  expect(() => client.producer({ acks: 2 as never })).toThrow(/acks/);
  expect(() => client.producer({ acks: 0, idempotent: true })).toThrow(/idempotent/);
  expect(() => client.producer({ maxInFlight: 6 })).toThrow(/maxInFlight/);
  expect(() => client.producer({ compression: 'rar' as never })).toThrow(/compression/);
  const producer = client.producer();
  expect(() => producer.enqueue('t', { value: 1 as never })).toThrow(/value/);
  expect(() => producer.enqueue('t', { value: null, timestampMs: 0.5 })).toThrow(/timestampMs/);
  expect(() => producer.enqueue('t', { value: null, headers: { a: 1 as never } })).toThrow(/"a"/);
});
