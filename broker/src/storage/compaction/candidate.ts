import type { Segment } from '../segment.js';
import type { CompactableLog } from './compactable-log.js';
import type { CompactionManifest } from './manifest.js';
import { tombstoneHorizon } from './tombstones.js';

/** A log that a pass is worth it for. */
export interface Candidate {
  readonly inputs: readonly Segment[];
  /** The base offset of the segment behind the last input. */
  readonly end: number;
  /** The share of its bytes that no pass has covered. */
  readonly dirtyRatio: number;
  readonly tombstonesGoBefore: number;
}

/** True when old values are to go from the log, and it is in working order. */
export function isCompacted({ options, failure }: CompactableLog): boolean {
  return failure === undefined && options.cleanupPolicy !== 'delete';
}

/**
 * Whether there is enough to do for a pass: `min.cleanable.dirty.ratio` of the log is new, or
 * tombstones have been kept for `delete.retention.ms`. Segments with a record younger than
 * `min.compaction.lag.ms`, and all behind them, are left for later.
 * @throws SegmentGoneError
 */
export async function assess(
  log: CompactableLog,
  { dirtyFrom, passes, firstTombstone }: CompactionManifest,
  nowMs: number,
): Promise<Candidate | undefined> {
  const { deleteRetentionMs, minCleanableDirtyRatio } = log.options;
  const inputs = await oldEnough(log, dirtyFrom, nowMs);
  const last = inputs.at(-1);
  if (last === undefined) return undefined;
  const end = log.endOf(last);
  const isDirty = (segment: Segment): boolean => log.endOf(segment) > dirtyFrom;
  const bytes = bytesOf(inputs);
  const dirtyRatio = bytes === 0 ? 0 : bytesOf(inputs.filter(isDirty)) / bytes;
  const tombstonesGoBefore = tombstoneHorizon(passes, nowMs, deleteRetentionMs);
  const tombstonesDue = firstTombstone >= 0 && firstTombstone < tombstonesGoBefore;
  const dirtyEnough = dirtyRatio > 0 && dirtyRatio >= minCleanableDirtyRatio;
  if (!dirtyEnough && !tombstonesDue) return undefined;
  return { inputs, end, dirtyRatio, tombstonesGoBefore };
}

async function oldEnough(
  log: CompactableLog,
  dirtyFrom: number,
  nowMs: number,
): Promise<readonly Segment[]> {
  const sealed = log.sealedSegments();
  const { minCompactionLagMs } = log.options;
  if (minCompactionLagMs === 0) return sealed;
  for (const [i, segment] of sealed.entries()) {
    if (log.endOf(segment) <= dirtyFrom) continue;
    if ((await segment.maxTimestampMs()) > nowMs - minCompactionLagMs) return sealed.slice(0, i);
  }
  return sealed;
}

function bytesOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
