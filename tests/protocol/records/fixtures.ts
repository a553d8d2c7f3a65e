import { readFileSync } from 'node:fs';

import { crc32c, ProtocolError, type CompressionName, type RecordView } from '@millrace/protocol';
import { expect } from '@jest/globals';

const golden = new URL('../../golden/records/', import.meta.url);

export const T0 = 1_700_000_000_000;
export const allCompressions: readonly CompressionName[] = [
  'none',
  'gzip',
  'snappy',
  'lz4',
  'zstd',
];
export const limits = { maxBatchBytes: 1_048_576, maxRecordsPerBatch: 10_000 };

/** What a record says, in a form that can be compared and read. */
export interface PlainRecord {
  readonly key: string | null;
  readonly value: string | null;
  readonly timestampMs: number;
  readonly headers: readonly (readonly [string, string | null])[];
}

/** Hexadecimal bytes with `#` comments. */
export function readHex(name: string): Buffer {
  const text = readFileSync(new URL(name, golden), 'utf8');
  return Buffer.from(text.replace(/#.*$/gm, '').replace(/\s/g, ''), 'hex');
}

/** Batches of other encoders and tools, and the records that all of them hold. */
export interface DecodeFixture {
  readonly records: readonly PlainRecord[];
  readonly batches: readonly {
    readonly name: string;
    readonly source: string;
    readonly codec: CompressionName;
    readonly hex: string;
  }[];
}

export function readDecodeFixture(): DecodeFixture {
  return JSON.parse(readFileSync(new URL('decode.json', golden), 'utf8')) as DecodeFixture;
}

export function plain(record: RecordView): PlainRecord {
  return {
    key: record.key?.toString() ?? null,
    value: record.value?.toString() ?? null,
    timestampMs: record.timestampMs,
    headers: record.headers.map(([name, value]) => [name, value?.toString() ?? null]),
  };
}

/** The ProtocolError that something throws; anything else fails the test. */
export function protocolError(run: () => unknown): ProtocolError {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

export function expectError(run: () => unknown, errorName: string, message: RegExp): void {
  const error = protocolError(run);
  expect({ errorName: error.errorName, message: error.message }).toEqual({
    errorName,
    message: expect.stringMatching(message),
  });
}

/** A batch with a right CRC around whatever bytes are given as its records. */
export function batchAround(
  payload: Buffer,
  fields: { recordCount?: number; lastOffsetDelta?: number; attributes?: number } = {},
): Buffer {
  const recordCount = fields.recordCount ?? 1;
  const batch = Buffer.concat([Buffer.alloc(61), payload]);
  batch.writeBigInt64BE(40n, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(fields.attributes ?? 0, 21);
  batch.writeInt32BE(fields.lastOffsetDelta ?? Math.max(recordCount - 1, 0), 23);
  batch.writeBigInt64BE(BigInt(T0), 27);
  batch.writeBigInt64BE(BigInt(T0 + 9), 35);
  batch.writeInt32BE(recordCount, 57);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}
