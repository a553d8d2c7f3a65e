import {
  ByteChunks,
  inspectBatches,
  RecordBatchBuilder,
  RecordBatchView,
  restampProducer,
  type RecordBytes,
} from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';

import { allCompressions, expectError, limits, plain, protocolError, T0 } from './fixtures.js';

const texts = {
  ascii: 'x'.repeat(300),
  'two bytes a character': 'é'.repeat(300),
  'three bytes a character': '€'.repeat(300),
  'surrogate pairs': '😀'.repeat(300),
  'long and ASCII': 'x'.repeat(70_000),
  'long and not ASCII': 'ab€'.repeat(30_000),
};

describe('RecordBatchBuilder', () => {
  test.each(Object.entries(texts))('writes text as UTF-8: %s', (_, text) => {
    const builder = new RecordBatchBuilder({ initialBytes: 61 });
    builder.append(text, text, [[text, text]], T0);
    const [record] = RecordBatchView.read(builder.build(), 0);
    expect(record?.key?.equals(Buffer.from(text))).toBe(true);
    expect(record?.value?.equals(Buffer.from(text))).toBe(true);
    expect(record?.headers[0]?.[0] === text).toBe(true);
    expect(record?.headers[0]?.[1]?.equals(Buffer.from(text))).toBe(true);
  });

  test('replaces unpaired surrogates as TextEncoder does', () => {
    const builder = new RecordBatchBuilder();
    builder.append('a\ud800b', '\udc00', null, T0);
    const [record] = RecordBatchView.read(builder.build(), 0);
    expect(record?.key?.toString()).toBe('a\ufffdb');
    expect(record?.value?.toString()).toBe('\ufffd');
  });

  test('starts anew after reset, and a built batch does not change any more', () => {
    const builder = new RecordBatchBuilder();
    builder.append('a', 'one', null, T0);
    const first = builder.build();
    const before = first.toString('hex');
    builder.reset();
    expect([builder.recordCount, builder.sizeBytes]).toEqual([0, 61]);
    builder.append('b', 'two', null, T0 - 1000);
    builder.append('c', 'three', null, T0 - 2000);
    const second = RecordBatchView.read(builder.build({ baseOffset: 5 }), 0);
    expect(first.toString('hex')).toBe(before);
    expect([second.recordCount, second.baseOffset, second.lastOffset]).toEqual([2, 5, 6]);
    expect(second.header).toMatchObject({
      baseTimestampMs: T0 - 1000,
      maxTimestampMs: T0 - 1000,
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      partitionLeaderEpoch: -1,
    });
    expect([...second].map(plain).map(({ value }) => value)).toEqual(['two', 'three']);
  });

  test('can go on after build', () => {
    const builder = new RecordBatchBuilder();
    builder.append(null, 'one', null, T0);
    builder.build();
    builder.append(null, 'two', null, T0);
    const values = [...RecordBatchView.read(builder.build(), 0)].map((r) => r.value?.toString());
    expect(values).toEqual(['one', 'two']);
  });

  test('estimates never less than append adds', () => {
    const samples: RecordBytes[] = [null, '', 'k', Buffer.alloc(200), '€'.repeat(100)];
    const builder = new RecordBatchBuilder();
    for (const key of samples) {
      for (const value of samples) {
        for (const headers of [null, [['ä', value]] as const, Array(70).fill(['n', key])]) {
          const estimate = builder.estimate(key, value, headers);
          const before = builder.sizeBytes;
          builder.append(key, value, headers, T0);
          expect(builder.sizeBytes - before).toBeLessThanOrEqual(estimate);
        }
      }
    }
  });

  test.each([NaN, 0.5, -2, 2 ** 53, Infinity])('refuses timestamp %p', (timestampMs) => {
    const builder = new RecordBatchBuilder();
    const append = () => builder.append(null, 'v', null, timestampMs);
    expectError(append, 'INVALID_TIMESTAMP', /must be milliseconds since 1970/);
    expect(builder.recordCount).toBe(0);
  });

  test.each([0, -1, 1, Number.MAX_SAFE_INTEGER])('keeps timestamps around %p', (last) => {
    const builder = new RecordBatchBuilder();
    const times = [5, last, Number.MAX_SAFE_INTEGER, -1, 2 ** 31, 2 ** 33 + 1, 64, 63];
    for (const time of times) builder.append(null, null, null, time);
    const read = [...RecordBatchView.read(builder.build(), 0)].map((r) => r.timestampMs);
    expect(read).toEqual(times);
  });

  test('refuses to build a batch of nothing', () => {
    expectError(() => new RecordBatchBuilder().build(), 'INVALID_RECORD', /no records/);
  });

  test('refuses a compression that does not exist', () => {
    const make = () => new RecordBatchBuilder({ compression: 'brotli' as 'gzip' });
    expectError(make, 'UNSUPPORTED_COMPRESSION_TYPE', /'brotli'.*use one of none, gzip/);
    const inherited = () => new RecordBatchBuilder({ compression: 'toString' as 'gzip' });
    expect(protocolError(inherited).errorName).toBe('UNSUPPORTED_COMPRESSION_TYPE');
  });

  test.each(allCompressions)('compresses whenever it was asked to: %s', (compression) => {
    const builder = new RecordBatchBuilder({ compression });
    builder.append(null, 'x', null, T0);
    const batch = builder.build();
    expect(batch.readInt16BE(21)).toBe(allCompressions.indexOf(compression));
    expect([...RecordBatchView.read(batch, 0)].map((r) => r.value?.toString())).toEqual(['x']);
  });
});

describe('restampProducer', () => {
  test('changes the producer fields and the CRC, and nothing else', () => {
    const builder = new RecordBatchBuilder();
    builder.append('k', 'v', null, T0);
    const batch = builder.build({ producerId: 1, producerEpoch: 2, baseSequence: 3 });
    const before = Buffer.from(batch);
    restampProducer(batch, 2 ** 40 + 7, 9, 2 ** 31 - 1);
    const [inspected] = inspectBatches(new ByteChunks([batch]), limits);
    expect(inspected?.header).toMatchObject({
      producerId: 2 ** 40 + 7,
      producerEpoch: 9,
      baseSequence: 2 ** 31 - 1,
    });
    expect(batch.subarray(0, 17).equals(before.subarray(0, 17))).toBe(true);
    expect(batch.subarray(21, 43).equals(before.subarray(21, 43))).toBe(true);
    expect(batch.subarray(57).equals(before.subarray(57))).toBe(true);
  });
});
