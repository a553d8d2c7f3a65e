import { randomBytes } from 'node:crypto';
import { ProtocolError } from '@millrace/protocol';
import type { RecordBatchView } from '@millrace/protocol';
import type { BatchSource } from './batch-source.js';
import type { CompactionInput, CompactionJob } from './job.js';
import type { LastBatches } from './keep-rule.js';
import { OffsetMap } from './offset-map.js';

/** What the first pass over the dirty part of a log found out. */
export interface DirtyPart {
  readonly map: OffsetMap;
  /** Everything below this offset is in the map: the end of the inputs, or where it became full. */
  readonly end: number;
  readonly lastBatches: LastBatches;
}

/** Notes the latest offset of each key in the dirty part, as far as there is memory for keys. */
export async function buildMap(job: CompactionJob, source: BatchSource): Promise<DirtyPart> {
  const from = Math.max(job.dirtyFrom, job.startOffset);
  const seed = randomBytes(4).readUInt32LE();
  const map = new OffsetMap(job.mapBytes, Math.max(0, job.end - from), seed);
  const producers = new Set(job.producers);
  const lastBatches = new Map<number, number>();
  for (const [input, end] of withEnds(job)) {
    if (end <= from) continue;
    for await (const batches of source.batches(input)) {
      for (const { view } of batches) {
        if (view.lastOffset < from) continue;
        const { producerId, baseOffset } = view.header;
        if (producers.has(producerId)) lastBatches.set(producerId, baseOffset);
        const full = noteKeys(view, from, map);
        if (full !== undefined) return { map, end: full, lastBatches };
      }
    }
  }
  return { map, end: job.end, lastBatches };
}

/** Each input with the base offset of the segment behind it. */
export function withEnds(job: CompactionJob): (readonly [CompactionInput, number])[] {
  return job.inputs.map((input, i) => [input, job.inputs[i + 1]?.baseOffset ?? job.end] as const);
}

/** The offset of the record that there was no room for; undefined when there was for all. */
function noteKeys(view: RecordBatchView, from: number, map: OffsetMap): number | undefined {
  if (view.recordCount === 0 || view.isControl || !isReadable(view)) return undefined;
  const cursor = view.cursor();
  while (cursor.next()) {
    const { bytes, keyStart, keyLength, offset } = cursor;
    if (keyLength < 0 || offset < from) continue;
    if (!map.put(bytes, keyStart, keyLength, offset)) return offset;
  }
  return undefined;
}

/**
 * True when all records of a batch can be read. If not, no key of it counts: it would take the place of
 * what readers can still get.
 */
function isReadable(view: RecordBatchView): boolean {
  try {
    const cursor = view.cursor();
    while (cursor.next());
    return true;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return false;
  }
}

/**
 * True when `error` is about the records of a batch whose checksum fits: a producer has sent it like
 * that, for the broker looks into records only where a topic is compacted. It stays as it is.
 */
export function isUnreadable(error: unknown): error is ProtocolError {
  return error instanceof ProtocolError;
}
