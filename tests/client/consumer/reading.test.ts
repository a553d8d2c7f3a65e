import { expect, test } from '@jest/globals';
import { numbers, rejectionOf, until, useFakeBroker, valuesOf } from '../support/harness.js';
import type { FetchRequest } from '@millrace/protocol';

const harness = useFakeBroker();

async function fill(topic: string, count: number, batchBytes = 1_000): Promise<void> {
  const producer = harness().client.producer({ batchBytes });
  for (const value of numbers(count)) {
    if (!producer.enqueue(topic, { value, partition: 0, timestampMs: 1_000 + Number(value) })) {
      await producer.ready();
    }
  }
  await producer.flush();
}

async function read(options: object): Promise<string[]> {
  const values: string[] = [];
  const consumer = harness().client.consumer({ topics: ['t'], exitAtEnd: true, ...options });
  for await (const message of consumer) values.push(message.text() ?? '');
  return values;
}

test('reading starts where it is told to, also in the middle of a batch', async () => {
  harness().broker.createTopic('t');
  await fill('t', 500);
  expect(await read({})).toEqual(numbers(500));
  expect(await read({ from: { offset: 123 } })).toEqual(numbers(500).slice(123));
  expect(await read({ from: { timestampMs: 1_400 } })).toEqual(numbers(500).slice(400));
  expect(await read({ from: new Date(1_450) })).toEqual(numbers(500).slice(450));
  expect(await read({ from: new Date(9_999_999) })).toEqual([]);
  expect(await read({ from: 'end' })).toEqual([]);
});

test('batches say what they hold, and a cursor starts at the wanted offset', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await fill('t', 100);
  const offsets: number[] = [];
  let next = 7;
  const options = { topics: ['t'], from: { offset: 7 }, exitAtEnd: true };
  for await (const batch of client.consumer(options).batches()) {
    expect(batch.baseOffset).toBe(next);
    expect(batch.count).toBe(batch.lastOffset - batch.baseOffset + 1);
    expect(batch.highWatermark).toBe(100);
    const cursor = batch.cursor();
    while (cursor.next()) offsets.push(cursor.offset);
    expect([...batch].map(({ offset }) => offset)).toEqual(offsets.slice(-batch.count));
    next = batch.lastOffset + 1;
  }
  expect(offsets).toEqual(numbers(100).slice(7).map(Number));
});

test('only the chosen partitions are read', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 3);
  const producer = client.producer();
  for (const value of numbers(9)) await producer.send('t', { value, partition: Number(value) % 3 });
  expect(await read({ partitions: [1] })).toEqual(['1', '4', '7']);
  expect(await rejectionOf(read({ partitions: [3] }))).toMatchObject({ partition: 3 });
});

test('a gap in the offsets, also at the end of the log, is passed over', async () => {
  const { broker, client } = harness();
  const topic = broker.createTopic('t');
  await fill('t', 10, 100);
  topic.partitions[0]?.loseTail(1);
  expect((await valuesOf(client, 't')).length).toBeLessThan(10);
  const before = await valuesOf(client, 't');
  await client.producer().send('t', { value: 'after the gap' });
  expect(await valuesOf(client, 't')).toEqual([...before, 'after the gap']);
});

test('a small response does not end the reading of a partition that got no room', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 4);
  const producer = client.producer({ batchBytes: 500 });
  for (const value of numbers(400)) producer.enqueue('t', { value, partition: Number(value) % 4 });
  await producer.flush();
  const values = await read({ maxBytes: 600 });
  expect(values.map(Number).sort((a, b) => a - b)).toEqual(numbers(400).map(Number));
});

test('many partitions that have much take turns, and are not all asked for each time', async () => {
  const { broker, client } = harness();
  const partitions = 150;
  broker.createTopic('t', partitions);
  const producer = client.producer({ batchBytes: 100 });
  for (let round = 0; round < 3; round += 1) {
    for (let partition = 0; partition < partitions; partition += 1) {
      producer.enqueue('t', { value: 'x'.repeat(100), partition });
    }
    await producer.flush();
  }
  // Each answer has room for one batch.
  const options = { topics: ['t'], exitAtEnd: true, maxBytes: 100 };
  const taken = new Array<number>(partitions).fill(0);
  for await (const { partition } of client.consumer(options)) {
    taken[partition] = (taken[partition] ?? 0) + 1;
    expect(Math.max(...taken) - Math.min(...taken)).toBeLessThanOrEqual(1);
  }
  expect(Math.min(...taken)).toBe(3);
  const rows = broker
    .callsOf('fetch')
    .map(({ request }) => (request as FetchRequest).entries.length);
  expect(rows[0]).toBe(partitions);
  // Until the last round, when some have nothing more.
  expect(Math.max(...rows.slice(1, 2 * partitions))).toBe(16);
});

test('as many partitions are asked for at once as an answer has room for', async () => {
  const { broker, client } = harness();
  const partitions = 150;
  broker.createTopic('t', partitions);
  const producer = client.producer({ batchBytes: 100 });
  for (const length of [15_000, 100]) {
    for (let partition = 0; partition < partitions; partition += 1) {
      producer.enqueue('t', { value: 'x'.repeat(length), partition });
    }
    await producer.flush();
  }
  // Room for one of the long ones.
  const options = { topics: ['t'], exitAtEnd: true, maxBytes: 20_000 };
  let messages = 0;
  for await (const { value } of client.consumer(options)) messages += value === null ? 0 : 1;
  expect(messages).toBe(2 * partitions);
  const rows = broker
    .callsOf('fetch')
    .map(({ request }) => (request as FetchRequest).entries.length);
  // While long ones are left, and then.
  expect(rows.slice(1, partitions / 3).every((each) => each === 16)).toBe(true);
  expect(Math.max(...rows.slice(1))).toBeGreaterThanOrEqual(64);
});

test('new messages are waited for', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const consumer = client.consumer({ topics: ['t'], from: 'end' });
  await consumer.start();
  const producer = client.producer();
  const values: string[] = [];
  void producer.send('t', { value: 'a' });
  for await (const message of consumer) {
    values.push(message.text() ?? '');
    if (values.length === 2) break;
    void producer.send('t', { value: 'b' });
  }
  expect(values).toEqual(['a', 'b']);
});

test('prefetching stops at its bound while the application rests', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await fill('t', 20_000, 4_000);
  const consumer = client.consumer({ topics: ['t'], maxBytes: 8_000, prefetchBytes: 32_000 });
  const batches = consumer.batches();
  await batches.next();
  // Requests that were to come would have come before the answers to these.
  const roundTrips = async (): Promise<void> => {
    for (let index = 0; index < 20; index += 1) await client.admin.listTopics();
  };
  await roundTrips();
  const asked = broker.callsOf('fetch').length;
  expect(asked).toBeLessThanOrEqual(7);
  await roundTrips();
  expect(broker.callsOf('fetch').length).toBe(asked);
  for (let taken = 0; taken < 10; taken += 1) await batches.next();
  await until(() => broker.callsOf('fetch').length > asked);
  await consumer.close();
});

test('an aborted signal ends the iteration with its reason, close() ends it quietly', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await fill('t', 3);
  const controller = new AbortController();
  const reason = new Error('enough');
  const seen: number[] = [];
  const aborted = (async () => {
    for await (const { offset } of client.consumer({
      topics: ['t'],
      signal: controller.signal,
    })) {
      seen.push(offset);
      if (offset === 2) setImmediate(() => controller.abort(reason));
    }
  })();
  expect(await rejectionOf(aborted)).toBe(reason);
  expect(seen).toEqual([0, 1, 2]);
  const consumer = client.consumer({ topics: ['t'] });
  for await (const { offset } of consumer)
    if (offset === 2) setImmediate(() => void consumer.close());
});

test('overlapping next() calls lose and reorder nothing', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await fill('t', 300, 200);
  const iterator = client.consumer({ topics: ['t'], exitAtEnd: true })[Symbol.asyncIterator]();
  const results = await Promise.all(Array.from({ length: 301 }, () => iterator.next()));
  const values = results.slice(0, 300).map(({ value }) => value?.text());
  expect(values).toEqual(numbers(300));
  expect(results[300]?.done).toBe(true);
});

test('a consumer can be iterated once', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const consumer = client.consumer({ topics: ['t'] });
  consumer.batches();
  expect(() => consumer.batches()).toThrow(/only once/);
  await consumer.close();
});

test('two consumers of one client do not wait for each other', async () => {
  const { broker, client } = harness();
  broker.createTopic('idle');
  broker.createTopic('t');
  await fill('t', 10);
  const idle = client.consumer({ topics: ['idle'], maxWaitMs: 60_000 });
  const waiting = idle[Symbol.asyncIterator]().next();
  await until(() => broker.callsOf('fetch').length > 0);
  expect(await read({})).toEqual(numbers(10));
  await idle.close();
  await expect(waiting).resolves.toMatchObject({ done: true });
  const offsets = broker.callsOf('fetch').map(({ request }) => request as FetchRequest);
  expect(offsets.length).toBeGreaterThan(1);
});

test('wrong options are refused with the name of what is wrong', () => {
  const { client } = harness();
  expect(() => client.consumer({ topics: [] })).toThrow(/topics/);
  expect(() => client.consumer({ topics: ['t'], partitions: [] })).toThrow(/partitions/);
  expect(() => client.consumer({ topics: ['t'], from: { offset: -1 } })).toThrow(/from/);
  expect(() => client.consumer({ topics: ['t'], from: new Date('x') })).toThrow(/from/);
  expect(() => client.consumer({ topics: ['t'], maxBytes: 0 })).toThrow(/maxBytes/);
});

test('an offset out of range says what there is; clamped, it starts at the nearest', async () => {
  const { broker } = harness();
  const [held] = broker.createTopic('t').partitions;
  const empty = await rejectionOf(read({ from: { offset: 5 } }));
  expect((empty as Error).message).toBe(
    'Offset 5 of t-0 is out of range: the partition is empty, its next message gets offset 0. ' +
      'Start there, or say with onOutOfRange where to go on',
  );
  await fill('t', 20, 100);
  if (held === undefined) throw new Error('No partition');
  held.batches.shift();
  held.startOffset = held.batches[0]?.header.baseOffset ?? 0;
  const wrong = await rejectionOf(read({ from: { offset: 21 } }));
  expect((wrong as Error).message).toContain(`it holds offsets ${held.startOffset} to 19`);
  expect(await read({ from: { offset: 21, clamp: true } })).toEqual([]);
  expect(await read({ from: { offset: 0, clamp: true } })).toEqual(
    numbers(20).slice(held.startOffset),
  );
  expect(await read({ from: { offset: 15, clamp: true } })).toEqual(numbers(20).slice(15));
});
