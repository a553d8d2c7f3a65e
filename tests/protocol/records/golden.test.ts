import {
  ByteChunks,
  crc32c,
  inspectBatches,
  readBatchHeader,
  RecordBatchBuilder,
  RecordBatchView,
} from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';

import { expectError, limits, plain, readDecodeFixture, readHex, T0 } from './fixtures.js';

const byHand = readHex('by-hand.hex');
const expected = [
  {
    key: 'k1',
    value: 'v1',
    timestampMs: T0,
    headers: [
      ['trace', '\x01\x02'],
      ['empty', ''],
      ['none', null],
    ],
  },
  { key: null, value: 'grüße', timestampMs: T0 + 5, headers: [] },
  { key: 'k3', value: null, timestampMs: T0 - 3, headers: [] },
  { key: '', value: '', timestampMs: T0 + 86_400_000, headers: [] },
];

describe('a batch written by hand from the format description', () => {
  test('has each field where Kafka puts it', () => {
    const fields = {
      baseOffset: byHand.readBigInt64BE(0),
      batchLength: byHand.readInt32BE(8),
      partitionLeaderEpoch: byHand.readInt32BE(12),
      magic: byHand.readInt8(16),
      crc: byHand.readUInt32BE(17),
      attributes: byHand.readInt16BE(21),
      lastOffsetDelta: byHand.readInt32BE(23),
      baseTimestamp: byHand.readBigInt64BE(27),
      maxTimestamp: byHand.readBigInt64BE(35),
      producerId: byHand.readBigInt64BE(43),
      producerEpoch: byHand.readInt16BE(51),
      baseSequence: byHand.readInt32BE(53),
      recordCount: byHand.readInt32BE(57),
    };
    expect(fields).toEqual({
      baseOffset: 1000n,
      batchLength: byHand.length - 12,
      partitionLeaderEpoch: 7,
      magic: 2,
      crc: 0xde6dd0a6,
      attributes: 0,
      lastOffsetDelta: 3,
      baseTimestamp: BigInt(T0),
      maxTimestamp: BigInt(T0 + 86_400_000),
      producerId: 4711n,
      producerEpoch: 3,
      baseSequence: 12,
      recordCount: 4,
    });
    expect(crc32c(byHand.subarray(21))).toBe(0xde6dd0a6);
  });

  test('is read as those fields and records', () => {
    expect(readBatchHeader(byHand)).toEqual({
      baseOffset: 1000,
      batchLength: 115,
      sizeBytes: 127,
      partitionLeaderEpoch: 7,
      magic: 2,
      crc: 0xde6dd0a6,
      attributes: 0,
      lastOffsetDelta: 3,
      baseTimestampMs: T0,
      maxTimestampMs: T0 + 86_400_000,
      producerId: 4711,
      producerEpoch: 3,
      baseSequence: 12,
      recordCount: 4,
    });
    const view = RecordBatchView.read(byHand, 0);
    expect([...view].map(plain)).toEqual(expected);
    expect([...view].map((record) => record.offset)).toEqual([1000, 1001, 1002, 1003]);
  });

  test('is what the builder writes for the same records, byte for byte', () => {
    const builder = new RecordBatchBuilder();
    const headers = [
      ['trace', Uint8Array.of(1, 2)],
      ['empty', Buffer.alloc(0)],
      ['none', null],
    ] as const;
    builder.append('k1', Buffer.from('v1'), headers, T0);
    builder.append(null, 'grüße', [], T0 + 5);
    builder.append(new TextEncoder().encode('k3'), null, null, T0 - 3);
    builder.append('', Buffer.alloc(0), null, T0 + 86_400_000);
    expect(builder.sizeBytes).toBe(byHand.length);
    const batch = builder.build({
      producerId: 4711,
      producerEpoch: 3,
      baseSequence: 12,
      baseOffset: 1000,
      leaderEpoch: 7,
    });
    expect(batch.toString('hex')).toBe(byHand.toString('hex'));
  });

  test('passes inspection', () => {
    const [batch] = inspectBatches(new ByteChunks([byHand]), limits);
    expect(batch).toEqual({ header: readBatchHeader(byHand), position: 0 });
  });
});

describe('batches of other encoders and compressors', () => {
  const { batches, records } = readDecodeFixture();

  test.each(batches)('$name ($source) is decoded', ({ codec, hex }) => {
    const bytes = Buffer.from(hex, 'hex');
    const [inspected] = inspectBatches(new ByteChunks([bytes]), limits);
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
    expect(codecs[(inspected?.header.attributes ?? -1) & 7]).toBe(codec);
    expect(bytes.readInt32BE(57)).toBe(3);
    expect([...RecordBatchView.read(bytes, 0)].map(plain)).toEqual(records);
  });

  test.each(batches.filter(({ codec }) => codec !== 'none'))(
    '$name is refused when its records take more than the limit',
    ({ hex }) => {
      const view = RecordBatchView.read(Buffer.from(hex, 'hex'), 0, { maxDecompressedBytes: 900 });
      expectError(() => view.cursor(), 'MESSAGE_TOO_LARGE', /base offset 0 .*limit of 900 bytes/);
    },
  );
});
