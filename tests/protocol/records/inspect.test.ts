import {
  ByteChunks,
  crc32c,
  inspectBatches,
  RecordBatchBuilder,
  stampBatch,
} from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { expectError, limits, T0 } from './fixtures.js';

function batchOf(count = 3): Buffer {
  const builder = new RecordBatchBuilder();
  for (let i = 0; i < count; i++) builder.append(`key-${i}`, `value-${i}`, null, T0 + i);
  return builder.build({ producerId: 7, producerEpoch: 0, baseSequence: 0 });
}

/** A batch whose fields were changed by somebody who knows how to compute the CRC. */
function forged(change: (batch: Buffer) => void): Buffer {
  const batch = batchOf();
  change(batch);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

const inspect = (bytes: Buffer, more: object = {}) =>
  inspectBatches(new ByteChunks([bytes]), { ...limits, ...more });

/** Splits bytes where the cuts say. */
function split(bytes: Buffer, cuts: readonly number[]): ByteChunks {
  const ends = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  const starts = [0, ...ends];
  return new ByteChunks([...ends, bytes.length].map((end, i) => bytes.subarray(starts[i], end)));
}

describe('inspectBatches', () => {
  test('tells where each of several batches starts', () => {
    const batches = [batchOf(1), batchOf(2), batchOf(50)];
    const found = inspect(Buffer.concat(batches));
    expect(found.map(({ position }) => position)).toEqual([
      0,
      batches[0]?.length,
      (batches[0]?.length ?? 0) + (batches[1]?.length ?? 0),
    ]);
    expect(found.map(({ header }) => header.recordCount)).toEqual([1, 2, 50]);
  });

  test('finds the same wherever the bytes are split', () => {
    const bytes = Buffer.concat([batchOf(1), batchOf(9), batchOf(2)]);
    const whole = inspect(bytes);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 40 }), (cuts) => {
        expect(inspectBatches(split(bytes, cuts), limits)).toEqual(whole);
      }),
    );
    const each = new ByteChunks([...bytes].map((byte) => Buffer.of(byte)));
    expect(inspectBatches(each, limits)).toEqual(whole);
  });

  test('detects any flipped bit after the CRC', () => {
    const good = batchOf(4);
    for (let bit = 21 * 8; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expectError(() => inspect(bad), 'CORRUPT_MESSAGE', /byte 0 \(base offset 0\) has CRC-32C/);
    }
  });

  test('names the batch that is bad, not the first', () => {
    const second = batchOf();
    second.writeBigInt64BE(77n, 0);
    second.writeUInt8(second.readUInt8(70) ^ 1, 70);
    const bytes = Buffer.concat([batchOf(), second]);
    const message = new RegExp(`byte ${batchOf().length} \\(base offset 77\\) has CRC-32C`);
    expectError(() => inspect(bytes), 'CORRUPT_MESSAGE', message);
  });

  test('refuses bytes that are not exactly whole batches', () => {
    const good = batchOf();
    expectError(() => inspect(Buffer.alloc(0)), 'CORRUPT_MESSAGE', /payload is empty/);
    for (let length = 1; length < good.length; length++) {
      const run = () => inspect(good.subarray(0, length));
      expectError(run, 'CORRUPT_MESSAGE', /bytes are left|of which \d+ are there/);
    }
    const trailing = Buffer.concat([good, Buffer.alloc(5)]);
    expectError(() => inspect(trailing), 'CORRUPT_MESSAGE', /5 bytes are left/);
  });

  test.each([0, 1, 3, -1])('refuses magic %p', (magic) => {
    const batch = forged((b) => b.writeInt8(magic, 16));
    const message = new RegExp(`has magic ${magic}; only 2`);
    expectError(() => inspect(batch), 'UNSUPPORTED_FOR_MESSAGE_FORMAT', message);
    // A message of format 0 or 1 may be shorter than a batch header.
    expectError(() => inspect(batch.subarray(0, 30)), 'UNSUPPORTED_FOR_MESSAGE_FORMAT', message);
  });

  test.each([-1, 0, 48, -(2 ** 31)])('refuses batch length %p', (length) => {
    const batch = forged((b) => b.writeInt32BE(length, 8));
    expectError(() => inspect(batch), 'CORRUPT_MESSAGE', /claims a length of/);
  });

  test('refuses a batch beyond the size limit before it looks for its bytes', () => {
    const batch = forged((b) => b.writeInt32BE(2 ** 31 - 1, 8));
    expectError(() => inspect(batch), 'MESSAGE_TOO_LARGE', /max\.message\.bytes/);
    const size = batchOf().length;
    expect(inspect(batchOf(), { maxBatchBytes: size })).toHaveLength(1);
    const run = () => inspect(batchOf(), { maxBatchBytes: size - 1 });
    expectError(run, 'MESSAGE_TOO_LARGE', new RegExp(`has ${size} bytes`));
  });

  test.each([
    ['no records', 0, -1],
    ['fewer than none', -3, -4],
    ['a count that does not fit the last offset delta', 3, 3],
    ['more than the bytes can hold', 10_000, 9_999],
  ])('refuses a batch that claims %s', (_, count, lastOffsetDelta) => {
    const batch = forged((b) => {
      b.writeInt32BE(lastOffsetDelta, 23);
      b.writeInt32BE(count, 57);
    });
    expectError(() => inspect(batch), 'INVALID_RECORD', new RegExp(`claims ${count} records`));
  });

  test('refuses more records than allowed', () => {
    expect(inspect(batchOf(5), { maxRecordsPerBatch: 5 })).toHaveLength(1);
    const run = () => inspect(batchOf(6), { maxRecordsPerBatch: 5 });
    expectError(run, 'MESSAGE_TOO_LARGE', /has 6 records, more than the 5 allowed/);
  });

  test.each([5, 6, 7])('refuses codec %p', (codec) => {
    const batch = forged((b) => b.writeInt16BE(codec, 21));
    expectError(() => inspect(batch), 'UNSUPPORTED_COMPRESSION_TYPE', /names codec [567]/);
  });

  test.each([
    ['control batches', 0x20, 'INVALID_RECORD', /control batch/],
    ['transactions', 0x10, 'INVALID_RECORD', /transactions are not supported/],
    ["the broker's append time", 0x08, 'INVALID_TIMESTAMP', /only the broker/],
  ])('refuses %s from a producer', (_, bits, errorName, message) => {
    expectError(() => inspect(forged((b) => b.writeInt16BE(bits, 21))), errorName, message);
  });

  test('refuses timestamps that no clock can show', () => {
    for (const time of [-2n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      for (const position of [27, 35]) {
        const batch = forged((b) => b.writeBigInt64BE(time, position));
        expectError(() => inspect(batch), 'INVALID_TIMESTAMP', /base timestamp/);
      }
    }
  });

  test('refuses timestamps too far in the future', () => {
    expect(inspect(batchOf(), { maxTimestampMs: T0 + 2 })).toHaveLength(1);
    const run = () => inspect(batchOf(), { maxTimestampMs: T0 + 1 });
    expectError(run, 'INVALID_TIMESTAMP', new RegExp(`timestamp ${T0 + 2}, later than`));
  });

  test.each([
    ['id', (b: Buffer) => b.writeBigInt64BE(-2n, 43)],
    ['unsafe id', (b: Buffer) => b.writeBigInt64BE(2n ** 62n, 43)],
    ['epoch', (b: Buffer) => b.writeInt16BE(-1, 51)],
    ['sequence', (b: Buffer) => b.writeInt32BE(-1, 53)],
  ])('refuses a producer with a bad %s', (_, change) => {
    expectError(() => inspect(forged(change)), 'INVALID_RECORD', /has producer id/);
  });

  test('refuses more batches than allowed at the first too many, before any checksum', () => {
    const broken = batchOf();
    broken.writeUInt8(broken.readUInt8(70) ^ 1, 70);
    const two = Buffer.concat([broken, broken]);
    expectError(() => inspect(two), 'CORRUPT_MESSAGE', /CRC/);
    expectError(() => inspect(two, { maxBatches: 1 }), 'INVALID_RECORD', /byte 0 .*followed by/);
    const three = Buffer.concat([batchOf(), broken, batchOf()]);
    const which = new RegExp(`byte ${batchOf().length} .*exactly 2`);
    expectError(() => inspect(three, { maxBatches: 2 }), 'INVALID_RECORD', which);
    expect(inspect(batchOf(), { maxBatches: 1 })).toHaveLength(1);
    expect(inspect(Buffer.concat([batchOf(), batchOf()]), { maxBatches: 2 })).toHaveLength(2);
  });

  test('never throws anything but a ProtocolError', () => {
    const good = Buffer.concat([batchOf(2), batchOf(2)]);
    const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 5 });
    fc.assert(
      fc.property(edits, fc.nat(good.length), fc.array(fc.nat()), (changes, length, cuts) => {
        const bytes = Buffer.from(good.subarray(0, length));
        for (const [position, byte] of changes) if (position < length) bytes[position] = byte;
        try {
          inspectBatches(split(bytes, cuts), limits);
        } catch (error) {
          expect(error).toHaveProperty('name', 'ProtocolError');
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('stampBatch', () => {
  test('rewrites offset and epoch in place wherever the bytes are split', () => {
    const bytes = Buffer.concat([batchOf(1), batchOf(2)]);
    const position = batchOf(1).length;
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: position - 2, max: position + 20 }), { maxLength: 5 }),
        fc.maxSafeNat(),
        fc.nat(2 ** 31 - 1),
        (cuts, offset, epoch) => {
          const copy = Buffer.from(bytes);
          const chunks = split(copy, cuts);
          stampBatch(chunks, position, offset, epoch);
          const [first, second] = inspectBatches(chunks, limits);
          expect(first?.header).toMatchObject({ baseOffset: 0, partitionLeaderEpoch: -1 });
          expect(second?.header).toMatchObject({ baseOffset: offset, partitionLeaderEpoch: epoch });
          expect(copy.readBigInt64BE(position)).toBe(BigInt(offset));
        },
      ),
    );
  });

  test('refuses what is not there', () => {
    const chunks = new ByteChunks([Buffer.alloc(20)]);
    expect(() => stampBatch(chunks, 5, 1, 1)).toThrow(RangeError);
    expect(() => stampBatch(chunks, -1, 1, 1)).toThrow(RangeError);
    expect(() => stampBatch(chunks, 0, 2 ** 53, 1)).toThrow(RangeError);
  });
});
