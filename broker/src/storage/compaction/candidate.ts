import type { Segment } from '../segment.js';
import { UNLIMITED } from '../storage-config.js';
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

/**
 * True when old values are to go from the log, and it is in working order: with a segment missing a pass
 * would make the gap look like one of its own.
 */
export function isCompacted(log: CompactableLog): boolean {
  const { options, failure, lostSegments, startOffset } = log;
  if (failure !== undefined || options.cleanupPolicy === 'delete') return false;
  return lostSegments.every(([, end]) => end <= startOffset);
}

/**
 * Whether there is enough to do for a pass: `min.cleanable.dirty.ratio` of the log is new, its oldest new
 * segment was begun more than `max.compaction.lag.ms` ago, or tombstones have been kept for
 * `delete.retention.ms`. Segments with a record younger than
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
  const due = dirtyEnough || tombstonesDue || (await isOverdue(log, inputs.find(isDirty), nowMs));
  return due ? { inputs, end, dirtyRatio, tombstonesGoBefore } : undefined;
}

async function isOverdue(
  { options }: CompactableLog,
  oldest: Segment | undefined,
  nowMs: number,
): Promise<boolean> {
  const { maxCompactionLagMs } = options;
  if (oldest === undefined || maxCompactionLagMs === UNLIMITED) return false;
  return nowMs - (await oldest.firstAppendMs()) > maxCompactionLagMs;
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
