import { expect, test } from '@jest/globals';
import { InvalidArgumentError, type Message } from '@millrace/client';
import { FakePartition } from '../support/fake-log.js';
import { numbers, onNth, until, useFakeBroker } from '../support/harness.js';
import { seededRandom, testSeed } from '../../support/seed.js';

const harness = useFakeBroker();

/** Fills each partition with its own numbers from 0 on, in small batches. */
async function fill(partitions: number, count: number, batchBytes = 300): Promise<void> {
  const producer = harness().client.producer({ batchBytes });
  for (const value of numbers(count)) {
    for (let partition = 0; partition < partitions; partition += 1) {
      if (!producer.enqueue('t', { value, partition })) await producer.ready();
    }
  }
  await producer.flush();
}

async function take(messages: AsyncIterator<Message, undefined>, count: number) {
  const taken: string[] = [];
  while (taken.length < count) {
    const { value } = await messages.next();
    if (value === undefined) throw new Error(`It ended after ${taken.length}`);
    taken.push(`${value.partition}:${value.offset}`);
  }
  return taken;
}

const range = (partition: number, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${partition}:${from + index}`);

test('seek goes on at the offset, whatever was prefetched or is on its way', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await fill(1, 5_000);
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  broker.intercept = onNth('fetch', [2], { kind: 'delay', until: held });
  const consumer = client.consumer({ topics: ['t'], maxBytes: 1_000, prefetchBytes: 4_000 });
  const messages = consumer[Symbol.asyncIterator]();
  expect(await take(messages, 5)).toEqual(range(0, 0, 5));
  await until(() => broker.callsOf('fetch').length === 2);
  consumer.seek('t', 0, 4_000);
  expect(consumer.position('t', 0)).toBe(4_000);
  expect(await take(messages, 3)).toEqual(range(0, 4_000, 4_003));
  consumer.seek('t', 0, 2);
  release();
  expect(await take(messages, 4_998)).toEqual(range(0, 2, 5_000));
  expect(consumer.position('t', 0)).toBe(5_000);
});

test('seek does not wait for the long poll of others', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 2);
  await fill(1, 10);
  const consumer = client.consumer({ topics: ['t'], maxWaitMs: 3_600_000 });
  const messages = consumer[Symbol.asyncIterator]();
  await take(messages, 10);
  const next = messages.next();
  const before = broker.callsOf('fetch').length;
  await until(() => broker.callsOf('fetch').length >= before);
  consumer.seek('t', 0, 7);
  expect((await next).value).toMatchObject({ offset: 7 });
  expect(await take(messages, 2)).toEqual(range(0, 8, 10));
});

test('a paused partition gives out nothing, and goes on where it was', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 2);
  // One batch for each partition: pausing happens in the middle of it.
  await fill(2, 100, 1_000_000);
  const consumer = client.consumer({ topics: ['t'], maxWaitMs: 20 });
  const messages = consumer[Symbol.asyncIterator]();
  const [first = ''] = await take(messages, 10);
  const paused = Number(first[0]);
  const other = 1 - paused;
  consumer.pause([{ topic: 't', partition: paused }]);
  expect(consumer.position('t', paused)).toBe(10);
  expect(await take(messages, 100)).toEqual(range(other, 0, 100));
  const next = messages.next();
  consumer.resume([{ topic: 't', partition: paused }]);
  expect((await next).value).toMatchObject({ partition: paused, offset: 10 });
  expect(await take(messages, 89)).toEqual(range(paused, 11, 100));
});

test('what is prefetched of a paused partition holds up no other', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 2);
  await fill(2, 2_000);
  const options = { topics: ['t'], maxBytes: 4_000, prefetchBytes: 8_000, maxWaitMs: 20 };
  const consumer = client.consumer(options);
  const messages = consumer[Symbol.asyncIterator]();
  await take(messages, 1);
  // Some of both is there.
  await until(() => broker.callsOf('fetch').length >= 2);
  consumer.pause([{ topic: 't', partition: 0 }]);
  const from = consumer.position('t', 1);
  expect(await take(messages, 2_000 - from)).toEqual(range(1, from, 2_000));
  consumer.pause([{ topic: 't', partition: 1 }]);
  consumer.resume([{ topic: 't', partition: 0 }]);
  const at = consumer.position('t', 0);
  expect(await take(messages, 2_000 - at)).toEqual(range(0, at, 2_000));
});

test('batches are paused and sought as messages are', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 2);
  await fill(2, 100);
  const consumer = client.consumer({ topics: ['t'], maxWaitMs: 20 });
  const batches = consumer.batches();
  const first = (await batches.next()).value;
  if (first === undefined) throw new Error('Nothing came');
  const { partition, lastOffset } = first;
  expect(consumer.position('t', partition)).toBe(lastOffset + 1);
  consumer.pause([{ topic: 't', partition }]);
  for (let next = 0; next < 100;) {
    const batch = (await batches.next()).value;
    expect(batch).toMatchObject({ partition: 1 - partition, baseOffset: next });
    next = (batch?.lastOffset ?? 0) + 1;
  }
  consumer.seek('t', partition, 50);
  consumer.resume([{ topic: 't', partition }]);
  expect((await batches.next()).value).toMatchObject({ partition, baseOffset: 50 });
  await consumer.close();
});

test('pausing, resuming and seeking at random loses, doubles and reorders nothing', async () => {
  const random = seededRandom(testSeed());
  const below = (limit: number): number => Math.floor(random() * limit);
  const { broker, client } = harness();
  const [partitions, count] = [4, 300];
  broker.createTopic('t', partitions);
  await fill(partitions, count);
  const options = { topics: ['t'], maxBytes: 2_000, prefetchBytes: 3_000, maxWaitMs: 5 };
  const consumer = client.consumer(options);
  const messages = consumer[Symbol.asyncIterator]();
  await consumer.start();
  const expected = Array.from({ length: partitions }, () => 0);
  const paused = new Set<number>();
  for (let step = 0; step < 4_000; step += 1) {
    const partition = below(partitions);
    const name = { topic: 't', partition };
    switch (below(40)) {
      case 0:
        consumer.pause([name]);
        paused.add(partition);
        break;
      case 1:
        consumer.resume([name]);
        paused.delete(partition);
        break;
      case 2:
        expected[partition] = below(count);
        consumer.seek('t', partition, expected[partition] ?? 0);
        break;
      default: {
        const open = expected.some((next, index) => next < count && !paused.has(index));
        if (!open) break;
        const { value } = await messages.next();
        if (value === undefined) throw new Error('It ended');
        expect(paused.has(value.partition)).toBe(false);
        expect(value.offset).toBe(expected[value.partition]);
        expected[value.partition] = value.offset + 1;
        expect(consumer.position('t', value.partition)).toBe(value.offset + 1);
      }
    }
  }
  await consumer.close();
});

test('partitions that are added are read from their beginning', async () => {
  const { broker, connect } = harness();
  const topic = broker.createTopic('t');
  const client = connect({ metadataMaxAgeMs: 20 });
  const consumer = client.consumer({ topics: ['t'], from: 'end', maxWaitMs: 10 });
  await consumer.start();
  const next = consumer[Symbol.asyncIterator]().next();
  topic.partitions.push(new FakePartition());
  await harness().connect().producer().send('t', { value: 'new', partition: 1 });
  expect((await next).value).toMatchObject({ partition: 1, offset: 0 });
  expect(consumer.assignment).toEqual([
    { topic: 't', partition: 0 },
    { topic: 't', partition: 1 },
  ]);
});

test('what is not assigned cannot be moved or paused', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const consumer = client.consumer({ topics: ['t'] });
  expect(() => consumer.seek('t', 0, 0)).toThrow(InvalidArgumentError);
  await consumer.start();
  consumer.seek('t', 0, 0);
  expect(() => consumer.seek('t', 1, 0)).toThrow('t-1 is not assigned');
  expect(() => consumer.seek('t', 0, -1)).toThrow('offset must be an integer');
  expect(() => consumer.pause([{ topic: 'u', partition: 0 }])).toThrow(InvalidArgumentError);
  expect(() => consumer.pause({ topic: 't', partition: 0 } as never)).toThrow('array');
});
