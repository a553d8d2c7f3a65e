import { viewOf } from './buffer-view.js';
import { codecFor, compressionName } from './compression/codecs.js';
import { crc32c } from './crc.js';
import type { RecordCursor } from './cursor.js';
import { at, attribute, BATCH_OVERHEAD_BYTES, LENGTH_PREFIX_BYTES } from './layout.js';
import type { RecordBatchView } from './view.js';

/** What is left of a batch. */
export interface FilteredBatch {
  /** How many records. */
  readonly kept: number;
  /** The batch of those records; undefined when there are none, or there were none. */
  readonly bytes: Buffer | 'unchanged' | undefined;
}

/**
 * Takes records out of a batch, as compaction does: those that stay are the same bytes, because
 * their offsets and timestamps are relative to the base that stays too. So does everything else
 * in the header but length, record count and CRC: `lastOffsetDelta` still tells which offsets the
 * batch stood for, and a producer's sequence can be continued (Kafka: `MemoryRecords.filterTo`).
 * What was compressed is compressed again with the same codec.
 *
 * @param keep asked once for each record, in order, while the cursor stands on it.
 * @throws ProtocolError for records that are damaged, as {@link RecordBatchView.cursor} and
 *   {@link RecordCursor.next} do.
 */
export function filterBatch(
  batch: RecordBatchView,
  keep: (cursor: RecordCursor) => boolean,
): FilteredBatch {
  const cursor = batch.cursor();
  const runs = keptRuns(cursor, keep);
  if (runs.count === 0) return { kept: 0, bytes: undefined };
  if (runs.count === batch.recordCount) return { kept: runs.count, bytes: 'unchanged' };
  return { kept: runs.count, bytes: rebuild(batch, cursor.bytes, runs) };
}

/** Records that stay: as few ranges of bytes as there can be. */
interface Runs {
  /** Start, end, start, end … */
  readonly ranges: readonly number[];
  readonly count: number;
  readonly sizeBytes: number;
}

function keptRuns(cursor: RecordCursor, keep: (cursor: RecordCursor) => boolean): Runs {
  const ranges: number[] = [];
  let count = 0;
  let sizeBytes = 0;
  let runEnd = -1;
  let start = cursor.recordEnd;
  while (cursor.next()) {
    const end = cursor.recordEnd;
    if (keep(cursor)) {
      if (runEnd === start) ranges[ranges.length - 1] = end;
      else ranges.push(start, end);
      runEnd = end;
      count += 1;
      sizeBytes += end - start;
    }
    start = end;
  }
  return { ranges, count, sizeBytes };
}

/** @param source the uncompressed records that the ranges are of. */
function rebuild(batch: RecordBatchView, source: Buffer, runs: Runs): Buffer {
  const before = batch.bytes;
  const codecId = batch.header.attributes & attribute.codecMask;
  let after: Buffer;
  if (codecId === 0) {
    after = Buffer.allocUnsafe(BATCH_OVERHEAD_BYTES + runs.sizeBytes);
    copyRuns(source, runs, after, BATCH_OVERHEAD_BYTES);
  } else {
    const records = Buffer.allocUnsafe(runs.sizeBytes);
    copyRuns(source, runs, records, 0);
    const payload = codecFor(compressionName(codecId) ?? 'none').compress(records);
    after = Buffer.allocUnsafe(BATCH_OVERHEAD_BYTES + payload.length);
    after.set(payload, BATCH_OVERHEAD_BYTES);
  }
  before.copy(after, 0, 0, BATCH_OVERHEAD_BYTES);
  after.writeInt32BE(after.length - LENGTH_PREFIX_BYTES, at.batchLength);
  after.writeInt32BE(runs.count, at.recordCount);
  after.writeUInt32BE(crc32c(after.subarray(at.attributes)), at.crc);
  return after;
}

function copyRuns(source: Buffer, { ranges }: Runs, target: Buffer, start: number): void {
  let position = start;
  for (let index = 0; index < ranges.length; index += 2) {
    const from = ranges[index] as number;
    const length = (ranges[index + 1] as number) - from;
    // Runs are short where much is taken out, and for those `set` costs less than `copy`.
    target.set(viewOf(source, from, length), position);
    position += length;
  }
}
