import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import type { FetchedBatch, ProducerMessage } from '@millrace/client';
import { useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();

async function batchOf(messages: readonly ProducerMessage[]): Promise<FetchedBatch> {
  const { broker, client } = harness();
  broker.createTopic('t');
  await client.producer({ batchBytes: 8_388_608 }).sendBatch('t', messages);
  for await (const batch of client.consumer({ topics: ['t'] }).batches()) return batch;
  throw new Error('Nothing came');
}

test('a message shows and serialises what it holds', async () => {
  const [text, bytes, tombstone] = await batchOf([
    { key: 'k', value: 'grün', headers: { source: 'shell' }, timestampMs: 5 },
    { value: Buffer.from([0xff, 0xfe]), timestampMs: 6 },
    { key: '', value: null, timestampMs: 7 },
  ]);
  const common = { topic: 't', partition: 0 };
  expect(JSON.parse(JSON.stringify([text, bytes, tombstone]))).toEqual([
    { ...common, offset: 0, timestampMs: 5, key: 'k', value: 'grün', headers: { source: 'shell' } },
    { ...common, offset: 1, timestampMs: 6, key: null, value: { base64: '//4=' }, headers: {} },
    { ...common, offset: 2, timestampMs: 7, key: '', value: null, headers: {} },
  ]);
  expect(inspect(text, { breakLength: Infinity })).toBe(
    "Message { topic: 't', partition: 0, offset: 0, timestampMs: 5, key: 'k', value: 'grün', " +
      "headers: { source: 'shell' } }",
  );
  expect(inspect(bytes)).toContain("value: { base64: '//4=' }");
  expect(inspect({ deep: { deeper: { still: text } } })).toContain('[Message]');
});

test('what is shown of a large value is bounded, also where a character would be cut', async () => {
  const batch = await batchOf([
    { value: 'ü'.repeat(1_000_000) },
    { value: Buffer.alloc(500_000, 0xff) },
    ...Array.from({ length: 50 }, (_, index) => ({ value: String(index) })),
  ]);
  const [text, bytes] = batch;
  expect(inspect(text).length).toBeLessThan(1_000);
  expect(inspect(text)).toContain('üü… (2000000 bytes)');
  expect(inspect(bytes).length).toBeLessThan(1_000);
  expect(inspect(bytes)).toContain('… (500000 bytes)');
  expect(inspect(batch).length).toBeLessThan(5_000);
});

test('a batch shows and serialises what it holds', async () => {
  const batch = await batchOf([{ value: 'a' }, { value: 'b' }]);
  expect(JSON.parse(JSON.stringify(batch))).toMatchObject({
    topic: 't',
    partition: 0,
    baseOffset: 0,
    lastOffset: 1,
    highWatermark: 2,
    count: 2,
    messages: [
      { offset: 0, value: 'a' },
      { offset: 1, value: 'b' },
    ],
  });
  expect(inspect(batch)).toMatch(/^FetchedBatch \{[^]*count: 2[^]*value: 'b'/);
});

test('headers may repeat, in order, and are not lost in JSON', async () => {
  const headers = [
    ['a', 'b'],
    ['z', null],
    ['a', Buffer.from('c')],
  ] as const;
  const [message] = await batchOf([{ value: 'v', headers }]);
  expect(message?.headerEntries).toEqual([
    ['a', Buffer.from('b')],
    ['z', null],
    ['a', Buffer.from('c')],
  ]);
  expect(message?.toJSON().headers).toEqual({ a: ['b', 'c'], z: null });
  expect(() =>
    harness()
      .client.producer()
      .enqueue('t', { value: 'v', headers: [['a']] as never }),
  ).toThrow('header "a"');
  expect(() =>
    harness()
      .client.producer()
      .enqueue('t', { value: 'v', headers: ['ab'] as never }),
  ).toThrow('[name, value]');
});
