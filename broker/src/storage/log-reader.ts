import { ProtocolError, RecordBatchView } from '@millrace/protocol';
import type { ScannedBatch } from './batch-scanner.js';
import type { ListedSegment } from './compaction/listed-segments.js';
import type { EpochHistory } from './epoch-history.js';
import { andThen } from '../maybe-promise.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { LocatedBatch } from './batch-lookup.js';
import { CorruptLogError } from './errors.js';
import type { FileRegion, LogRegion } from './file-region.js';
import { indexAfter } from './segment-search.js';
import type { Segment } from './segment.js';
import { MAX_STORED_BATCH_BYTES } from './storage-config.js';
import { nextTurn, warmIfCold } from './warm-up.js';

/** What the records of a batch may unpack to: the size of the largest batch that is stored as it is. */
const MAX_UNPACKED_BYTES = MAX_STORED_BATCH_BYTES;

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
  /** The first offset that the log answers for: a segment may hold records below it. */
  readonly startOffset: number;
  /** Where offsets are missing on purpose ... */
  readonly epochs: EpochHistory;
  /** ... and anywhere below this one, where compaction may have taken them. */
  readonly cleanedTo: number;
  /** Segments below that which are missing. Default: none. */
  readonly lost?: readonly ListedSegment[];
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

/** What is asked of {@link readRegion}. */
export interface RegionWish {
  readonly offset: number;
  readonly maxBytes: number;
  /** The first batch in any case, however large it is. */
  readonly atLeastOne: boolean;
}

/**
 * Whole batches from the one that holds the offset, or the first after it, up to `maxBytes`; undefined
 * when nothing visible is there, or the first batch does not fit and need not. They are there at once
 * where memory tells their place, as for whoever follows the end of the log.
 * @throws ProtocolError CORRUPT_LOG, at once or by the promise.
 */
export function readRegion(view: LogView, wish: RegionWish): MaybePromise<LogRegion | undefined> {
  const { segments, end } = view;
  if (end === undefined || wish.offset >= end.offset) return undefined;
  const first = floorSegment(segments, wish.offset);
  return readFrom({ ...view, end }, first, wish, wish.offset);
}

interface NonEmptyView extends LogView {
  readonly end: VisibleEnd;
}

/** @param from the offset that the segment at `index` has to begin with, unless there is a gap. */
function readFrom(
  view: NonEmptyView,
  index: number,
  wish: RegionWish,
  from: number,
): MaybePromise<LogRegion | undefined> {
  const segment = view.segments[index];
  if (segment === undefined) return undefined;
  if (segment.baseOffset > from && !isGap(view, from, segment.baseOffset)) {
    throw missing(segment, from);
  }
  const next = (): MaybePromise<LogRegion | undefined> =>
    readFrom(view, index + 1, wish, Math.max(from, segment.baseOffset));
  const limit = visibleBytes(segment, view.end);
  if (limit === 0) return next();
  const gapless = segment.baseOffset >= view.cleanedTo;
  return andThen(segment.locate(wish.offset, limit, gapless), (first) =>
    first === undefined ? next() : regionIn(view, segment, first, limit, wish),
  );
}

function regionIn(
  view: NonEmptyView,
  segment: Segment,
  { position, firstOffset }: LocatedBatch,
  limit: number,
  { maxBytes, atLeastOne }: RegionWish,
): MaybePromise<LogRegion | undefined> {
  const { cleanedTo, end } = view;
  return andThen(segment.region(position, limit, maxBytes, atLeastOne), (region) => {
    if (region === undefined) return undefined;
    if (segment === end.segment && endOf(region) === limit) segment.remember(end.offset, limit);
    const gapless = segment.baseOffset >= cleanedTo;
    const { lowestEpoch, highestEpoch } = epochsOf(view, segment, gapless);
    return { ...region, batches: { firstOffset, lowestEpoch, highestEpoch, gapless } };
  });
}

/** A segment is of one epoch, unless compaction has put several into one. */
function epochsOf(
  { epochs, segments }: LogView,
  segment: Segment,
  gapless: boolean,
): { readonly lowestEpoch: number; readonly highestEpoch: number } {
  const lowestEpoch = epochs.at(segment.baseOffset);
  if (gapless) return { lowestEpoch, highestEpoch: lowestEpoch };
  const next = segments[indexAfter(segments, segment.baseOffset)];
  const last = (next?.baseOffset ?? Infinity) - 1;
  return { lowestEpoch, highestEpoch: epochs.at(last) };
}

/** True when nothing is lost from `from` up to `baseOffset`, where a segment begins. */
function isGap({ epochs, cleanedTo, lost }: LogView, from: number, baseOffset: number): boolean {
  if (lost?.some(([base, end]) => base < baseOffset && end > from) === true) return false;
  return baseOffset <= cleanedTo || epochs.isGap(Math.max(from, cleanedTo), baseOffset);
}

/**
 * The first visible record with a timestamp of at least `timestampMs`, inside a batch too.
 * @throws ProtocolError CORRUPT_LOG where the disk changed a batch; CORRUPT_MESSAGE, MESSAGE_TOO_LARGE or
 *   UNSUPPORTED_COMPRESSION_TYPE where one cannot be unpacked as its producer sent it.
 */
export async function findTimestamp(
  { segments, end, startOffset }: LogView,
  timestampMs: number,
): Promise<TimestampedOffset | undefined> {
  if (end === undefined) return undefined;
  for (const segment of segments.slice(floorSegment(segments, startOffset))) {
    const limit = visibleBytes(segment, end);
    if (limit === 0) continue;
    // Costs one small read the first time, and nothing from then on: the index need not be here.
    if (segment !== end.segment && (await segment.maxTimestampMs()) < timestampMs) continue;
    let batch = await segment.findTimestamp(timestampMs, limit);
    while (batch !== undefined) {
      const found = await recordAtOrAfter(segment, batch, timestampMs, startOffset);
      if (found !== undefined) return found;
      // Its header promised more than its records hold.
      const next = batch.position + batch.header.sizeBytes;
      batch = await segment.findTimestamp(timestampMs, limit, next);
    }
  }
  return undefined;
}

function missing(next: Segment, offset: number): ProtocolError {
  return new CorruptLogError(
    next.logPath,
    0,
    `the offsets from ${offset} up to its base offset ${next.baseOffset} are missing: a segment ` +
      'before it was lost or shortened',
  );
}

/** Reading, checking and unpacking one batch is a turn of the event loop to itself. */
async function recordAtOrAfter(
  segment: Segment,
  batch: ScannedBatch,
  timestampMs: number,
  startOffset: number,
): Promise<TimestampedOffset | undefined> {
  const { header, position } = batch;
  if (header.baseOffset + header.lastOffsetDelta < startOffset) return undefined;
  const bytes = Buffer.allocUnsafe(header.sizeBytes);
  const shared = segment.acquire();
  try {
    await warmIfCold(shared.file, position, bytes.length);
    await nextTurn();
    shared.file.read(bytes, position);
  } finally {
    shared.release();
  }
  const view = checkedBatch(segment, position, bytes);
  const found = firstRecord(view, { timestampMs, startOffset }, segment, position);
  await nextTurn();
  return found;
}

/** The broker has checked it when it was appended: what is wrong with it now, the disk did. */
function checkedBatch(segment: Segment, position: number, bytes: Buffer): RecordBatchView {
  try {
    return RecordBatchView.read(bytes, 0, { maxDecompressedBytes: MAX_UNPACKED_BYTES });
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw new CorruptLogError(segment.logPath, position, cause.message, { cause });
  }
}

/** What the records are is their producer's doing: the broker does not look into them before. */
function firstRecord(
  view: RecordBatchView,
  { timestampMs, startOffset }: { readonly timestampMs: number; readonly startOffset: number },
  segment: Segment,
  position: number,
): TimestampedOffset | undefined {
  try {
    const cursor = view.cursor();
    while (cursor.next()) {
      if (cursor.timestampMs < timestampMs || cursor.offset < startOffset) continue;
      return { offset: cursor.offset, timestampMs: cursor.timestampMs };
    }
    return undefined;
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    const message =
      `${segment.logPath}: the records of the batch at byte ${position}, among which time ` +
      `${timestampMs} would be, cannot be read: ${cause.message}`;
    throw new ProtocolError(cause.errorName, message, { cause });
  }
}

function endOf(region: FileRegion): number {
  return region.position + region.length;
}

/** The index of the last segment that begins at or before `offset`; 0 when none does. */
function floorSegment(segments: readonly Segment[], offset: number): number {
  return Math.max(0, indexAfter(segments, offset) - 1);
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
