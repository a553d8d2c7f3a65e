import { ByteChunks, ProtocolError, RecordBatchBuilder, RecordBatchView } from '@millrace/protocol';
import type { FileRegion } from '../../broker/src/storage/file-region.js';

export const T0 = 1_700_000_000_000;

export interface BatchSpec {
  readonly records?: number;
  readonly valueBytes?: number;
  /** Makes the values of one batch differ from those of another. */
  readonly tag?: string;
  readonly timestampMs?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
}

/** One batch as a producer sends it. */
export function makeBatch(spec: BatchSpec = {}): Buffer {
  const { records = 1, valueBytes = 20, tag = '', timestampMs = T0 } = spec;
  const builder = new RecordBatchBuilder({});
  for (let i = 0; i < records; i += 1) {
    builder.append(null, `${tag}#${i}`.padEnd(valueBytes, '.'), null, timestampMs + i);
  }
  const { producerId = -1, producerEpoch = -1, baseSequence = -1 } = spec;
  return Buffer.from(builder.build({ producerId, producerEpoch, baseSequence }));
}

/** The bytes as they might come off a socket: in pieces. */
export function inPieces(bytes: Buffer, pieceBytes: number): ByteChunks {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    pieces.push(bytes.subarray(at, at + pieceBytes));
  }
  return new ByteChunks(pieces);
}

export const chunksOf = (bytes: Buffer): ByteChunks => new ByteChunks([bytes]);

/** Reads a region and lets go of it. */
export function drain(region: FileRegion): Buffer {
  try {
    const bytes = Buffer.alloc(region.length);
    const count = region.file.read(bytes, region.position);
    if (count !== region.length) throw new Error(`${count} of ${region.length} bytes are there`);
    return bytes;
  } finally {
    region.release();
  }
}

export interface ReadRecord {
  readonly offset: number;
  readonly value: string;
  readonly timestampMs: number;
}

/** The records of whole batches, checksums checked; throws when bytes are left over. */
export function recordsIn(bytes: Buffer): ReadRecord[] {
  const records: ReadRecord[] = [];
  let position = 0;
  while (position < bytes.length) {
    const view = RecordBatchView.read(bytes, position);
    for (const { offset, value, timestampMs } of view) {
      records.push({ offset, value: value?.toString() ?? '', timestampMs });
    }
    position += view.header.sizeBytes;
  }
  return records;
}

export interface Readable {
  readonly endOffset: number;
  read(offset: number, maxBytes: number, atLeastOne: boolean): Promise<FileRegion | undefined>;
}

/** Everything from `offset` on, as a consumer gets it. */
export async function readAll(
  partition: Readable,
  offset = 0,
  maxBytes = 4096,
): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  let next = offset;
  for (;;) {
    const region = await partition.read(next, maxBytes, true);
    if (region === undefined) return records;
    // The first batch may begin before the offset that was asked for.
    const batch = recordsIn(drain(region)).filter((record) => record.offset >= next);
    records.push(...batch);
    const last = batch.at(-1);
    if (last === undefined) throw new Error(`nothing at or after ${next} in its region`);
    next = last.offset + 1;
  }
}

/** The ProtocolError that something rejects with; anything else fails the test. */
export async function rejection(work: Promise<unknown>): Promise<ProtocolError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
