import { BATCH_OVERHEAD_BYTES, ProtocolError, RecordBatchView } from '@millrace/protocol';
import { warmIfCold } from '../storage/warm-up.js';
import type { Partition } from '../topics/partition.js';

/** Where a batch of the only format says that it is one. */
const MAGIC_POSITION = 16;
const MAGIC = 2;

/** What is needed of a partition to read all of it. */
export type ReadablePartition = Pick<
  Partition,
  'startOffset' | 'endOffset' | 'read' | 'log' | 'problem'
>;

/** Reads stretches of a partition into one buffer, which each read writes over. */
export class OffsetsReader {
  #buffer = Buffer.allocUnsafe(0);

  /**
   * Whole batches from the one with `offset` on: up to `maxBytes`, but at least one.
   * @returns undefined at the end of the partition.
   * @throws ProtocolError what {@link Partition.read} throws.
   */
  async read(
    partition: ReadablePartition,
    offset: number,
    maxBytes: number,
  ): Promise<Buffer | undefined> {
    const region = await partition.read(offset, maxBytes, true);
    if (region === undefined) return undefined;
    const { file, length, position } = region;
    try {
      if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafe(length);
      await warmIfCold(file, position, length);
      return this.#buffer.subarray(0, file.read(this.#buffer.subarray(0, length), position));
    } finally {
      region.release();
    }
  }
}

/** Where the next batch begins whose checksum is right, after a damaged one; undefined: nowhere. */
export function nextSoundBatch(bytes: Buffer, damaged: number): number | undefined {
  for (let at = damaged + 1; at + BATCH_OVERHEAD_BYTES <= bytes.length; at += 1) {
    if (bytes[at + MAGIC_POSITION] === MAGIC && readSound(bytes, at) !== undefined) return at;
  }
  return undefined;
}

/** The batch at a position; undefined when it is damaged. */
function readSound(bytes: Buffer, position: number): RecordBatchView | undefined {
  try {
    return RecordBatchView.read(bytes, position);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/**
 * The first offset after `damaged` whose batch can be read and has the right checksum: looked for in
 * growing steps, then between the last two; undefined when there is none up to the end.
 */
export async function nextSoundOffset(
  reader: OffsetsReader,
  partition: ReadablePartition,
  damaged: number,
): Promise<number | undefined> {
  const last = partition.endOffset - 1;
  let bad = damaged;
  let good = damaged;
  for (let step = 1; good === damaged; step *= 2) {
    if (bad >= last) return undefined;
    const next = Math.min(bad + step, last);
    if (await isSound(reader, partition, next)) good = next;
    else bad = next;
  }
  while (good - bad > 1) {
    const middle = bad + Math.floor((good - bad) / 2);
    if (await isSound(reader, partition, middle)) good = middle;
    else bad = middle;
  }
  return good;
}

async function isSound(
  reader: OffsetsReader,
  partition: ReadablePartition,
  offset: number,
): Promise<boolean> {
  try {
    const bytes = await reader.read(partition, offset, 1);
    if (bytes === undefined) return false;
    return (readSound(bytes, 0)?.lastOffset ?? -1) >= offset;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}
