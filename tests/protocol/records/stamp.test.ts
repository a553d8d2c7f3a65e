import {
  ByteChunks,
  crc32c,
  RecordBatchBuilder,
  RecordBatchView,
  stampAppendTime,
} from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';

import { allCompressions, plain, T0 } from './fixtures.js';

function batchOf(compression: (typeof allCompressions)[number]): Buffer {
  const builder = new RecordBatchBuilder({ compression });
  for (let n = 0; n < 5; n += 1) builder.append(`k${n}`, 'value', [['h', 'x']], T0 + n);
  return builder.build({ producerId: 5, producerEpoch: 1, baseSequence: 9, baseOffset: 70 });
}

const appendTimeMs = T0 + 123_456_789;

/** Cut at every one of these positions, each part in memory of its own. */
function cutAt(bytes: Buffer, positions: readonly number[]): ByteChunks {
  const starts = [0, ...positions];
  const parts = starts.map((from, n) => Buffer.from(bytes.subarray(from, starts[n + 1])));
  return new ByteChunks(parts);
}

describe('stampAppendTime', () => {
  test.each(allCompressions)('gives every record the time, CRC and all: %s', (compression) => {
    const batch = batchOf(compression);
    const before = [...RecordBatchView.read(batch, 0)].map(plain);
    stampAppendTime(new ByteChunks([batch]), appendTimeMs);
    const after = RecordBatchView.read(batch, 0);
    expect(after.header.maxTimestampMs).toBe(appendTimeMs);
    expect([...after].map(plain)).toEqual(
      before.map((record) => ({ ...record, timestampMs: appendTimeMs })),
    );
  });

  test('is the same wherever the chunks are split', () => {
    const batch = batchOf('none');
    const whole = Buffer.from(batch);
    stampAppendTime(new ByteChunks([whole]), appendTimeMs);
    const cuts = Array.from({ length: batch.length - 1 }, (_, n) => [n + 1]);
    const pieces = [2, 3, 7].map((size) =>
      Array.from({ length: Math.ceil(batch.length / size) - 1 }, (_, n) => (n + 1) * size),
    );
    for (const positions of [...cuts, ...pieces, [0, 21, 21, 22, 35, 40]]) {
      const chunks = cutAt(batch, positions);
      stampAppendTime(chunks, appendTimeMs);
      expect(chunks.toBuffer().equals(whole)).toBe(true);
    }
  });

  test('changes nothing but attribute, maximum timestamp and CRC', () => {
    const before = batchOf('gzip');
    const batch = Buffer.from(before);
    stampAppendTime(new ByteChunks([batch]), appendTimeMs);
    const expected = Buffer.from(before);
    expected.writeInt16BE(0x08 | 1, 21);
    expected.writeBigInt64BE(BigInt(appendTimeMs), 35);
    expected.writeUInt32BE(crc32c(expected.subarray(21)), 17);
    expect(batch.toString('hex')).toBe(expected.toString('hex'));
    stampAppendTime(new ByteChunks([batch]), appendTimeMs);
    expect(batch.equals(expected)).toBe(true);
  });

  test('refuses what is not one batch, and what is no time', () => {
    const batch = batchOf('none');
    const two = new ByteChunks([batch, batch]);
    const part = new ByteChunks([batch.subarray(0, batch.length - 1)]);
    for (const bytes of [two, part, ByteChunks.empty, new ByteChunks([batch.subarray(0, 60)])]) {
      expect(() => stampAppendTime(bytes, T0)).toThrow(RangeError);
    }
    for (const timeMs of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => stampAppendTime(new ByteChunks([batch]), timeMs)).toThrow(RangeError);
    }
    expect(batch.equals(batchOf('none'))).toBe(true);
  });
});
