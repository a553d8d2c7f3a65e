import { ProtocolError, RecordBatchView } from '@millrace/protocol';
import type { ScannedBatch } from './batch-scanner.js';
import type { EpochHistory } from './epoch-history.js';
import type { FileRegion } from './file-region.js';
import type { Segment } from './segment.js';

/** Where readers have to stop. */
export interface VisibleEnd {
  readonly segment: Segment;
  readonly position: number;
  /** The offset after the last visible record. */
  readonly offset: number;
}

/** A log at one moment: segments by base offset, and how far they may be read. */
export interface LogView {
  readonly segments: readonly Segment[];
  readonly end: VisibleEnd | undefined;
  /** Where offsets are missing on purpose. */
  readonly epochs: EpochHistory;
}

export interface TimestampedOffset {
  readonly offset: number;
  readonly timestampMs: number;
}

/** Where the data of `segment` ends for readers of `view`; 0 when it is not visible at all. */
function visibleBytes(segment: Segment, end: VisibleEnd): number {
  if (segment === end.segment) return end.position;
  return segment.baseOffset < end.segment.baseOffset ? segment.sizeBytes : 0;
}

/**
 * Whole batches from the one that holds `offset`, or the first after it, up to `maxBytes`; undefined
 * when nothing visible is there, or the first batch does not fit and need not.
 * @throws ProtocolError CORRUPT_LOG
 */
export async function readRegion(
  { segments, end, epochs }: LogView,
  offset: number,
  maxBytes: number,
  atLeastOne: boolean,
): Promise<FileRegion | undefined> {
  if (end === undefined || offset >= end.offset) return undefined;
  let from = offset;
  for (const segment of segments.slice(floorSegment(segments, offset))) {
    if (segment.baseOffset > from && !epochs.isGap(from, segment.baseOffset)) {
      throw missing(segment, from);
    }
    from = Math.max(from, segment.baseOffset);
    const limit = visibleBytes(segment, end);
    if (limit === 0) continue;
    const position = await segment.locate(offset, limit);
    if (position === undefined) continue;
    const region = await segment.region(position, limit, maxBytes, atLeastOne);
    if (region !== undefined && segment === end.segment && endOf(region) === limit) {
      segment.remember(end.offset, limit);
    }
    return region;
  }
  return undefined;
}

/** The first visible record with a timestamp of at least `timestampMs`, inside a batch too. */
export async function findTimestamp(
  { segments, end }: LogView,
  timestampMs: number,
): Promise<TimestampedOffset | undefined> {
  if (end === undefined) return undefined;
  for (const segment of segments) {
    const limit = visibleBytes(segment, end);
    if (limit === 0) continue;
    let batch = await segment.findTimestamp(timestampMs, limit);
    while (batch !== undefined) {
      const found = recordAtOrAfter(segment, batch, timestampMs);
      if (found !== undefined) return found;
      // Its header promised more than its records hold.
      const next = batch.position + batch.header.sizeBytes;
      batch = await segment.findTimestamp(timestampMs, limit, next);
    }
  }
  return undefined;
}

function missing(next: Segment, offset: number): ProtocolError {
  return new ProtocolError(
    'CORRUPT_LOG',
    `${next.logPath}: the offsets from ${offset} up to its base offset ${next.baseOffset} are ` +
      'missing: a segment before it was lost or shortened; restore it from a backup',
  );
}

function recordAtOrAfter(
  segment: Segment,
  { header, position }: ScannedBatch,
  timestampMs: number,
): TimestampedOffset | undefined {
  const bytes = Buffer.alloc(header.sizeBytes);
  const shared = segment.acquire();
  try {
    shared.file.read(bytes, position);
  } finally {
    shared.release();
  }
  for (const record of RecordBatchView.read(bytes, 0)) {
    if (record.timestampMs >= timestampMs) {
      return { offset: record.offset, timestampMs: record.timestampMs };
    }
  }
  return undefined;
}

function endOf(region: FileRegion): number {
  return region.position + region.length;
}

/** The index of the last segment that begins at or before `offset`; 0 when none does. */
function floorSegment(segments: readonly Segment[], offset: number): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((segments[middle]?.baseOffset ?? Infinity) <= offset) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** What a reader is told whose offset the log does not have. */
export function outOfRange(
  name: string,
  offset: number,
  start: number,
  end: number,
): ProtocolError {
  return new ProtocolError(
    'OFFSET_OUT_OF_RANGE',
    `${name}: offset ${offset} is outside of ${start} to ${end}`,
  );
}
