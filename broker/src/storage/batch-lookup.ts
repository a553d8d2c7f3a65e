import { andThen } from '../maybe-promise.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { ScannedBatch } from './batch-scanner.js';
import { CorruptLogError } from './errors.js';
import type { IndexEntry, OffsetIndex } from './offset-index.js';

/** Where a batch starts, and the base offset that it has. */
export interface LocatedBatch {
  readonly position: number;
  readonly firstOffset: number;
}

/** A segment, as far as a lookup in it goes. */
export interface SearchedSegment {
  readonly logPath: string;
  readonly baseOffset: number;
  index(): MaybePromise<OffsetIndex>;
  walk(
    from: number,
    end: number,
    stop: (batch: ScannedBatch) => boolean,
  ): Promise<ScannedBatch | undefined>;
}

/** The batch at `position`, unless the visible data ends before. */
export function at(position: number, firstOffset: number, end: number): LocatedBatch | undefined {
  return position < end ? { position, firstOffset } : undefined;
}

/** The batch that holds `offset` or the first beyond it, by the index and what lies behind its entry. */
export function locateByIndex(
  segment: SearchedSegment,
  offset: number,
  end: number,
  gapless: boolean,
): MaybePromise<LocatedBatch | undefined> {
  return andThen(segment.index(), (index) => {
    const entry = index.floorOffset(offset);
    if (entry?.offset === offset) return at(entry.position, offset, end);
    return locateBehind(segment, entry, offset, end, gapless);
  });
}

async function locateBehind(
  segment: SearchedSegment,
  entry: IndexEntry | undefined,
  offset: number,
  end: number,
  gapless: boolean,
): Promise<LocatedBatch | undefined> {
  const from = entry?.position ?? 0;
  let walkedTo = Math.min(from, end);
  let least = entry?.offset ?? segment.baseOffset;
  const found = await segment.walk(from, end, ({ header, position }) => {
    const { baseOffset, lastOffsetDelta } = header;
    if (baseOffset < least || (gapless && baseOffset > least)) {
      throw wrongOffset(segment, position, baseOffset, least, gapless);
    }
    walkedTo = position + header.sizeBytes;
    least = baseOffset + lastOffsetDelta + 1;
    return least > offset;
  });
  if (found === undefined && walkedTo < end) throw noBatchAt(segment, walkedTo);
  return found && { position: found.position, firstOffset: found.header.baseOffset };
}

/**
 * How many bytes whole batches take from `position` on, at most `maxBytes` unless the first is larger and
 * `atLeastOne`; 0 when the first does not fit.
 */
export function wholeBatchesLength(
  segment: SearchedSegment,
  position: number,
  end: number,
  maxBytes: number,
  atLeastOne: boolean,
): MaybePromise<number> {
  if (end - position <= maxBytes) return end - position;
  const limit = position + maxBytes;
  return andThen(segment.index(), (index) => {
    const boundary = index.floorPosition(limit)?.position ?? 0;
    if (boundary > position) return boundary - position;
    return walkedLength(segment, position, end, limit, atLeastOne);
  });
}

async function walkedLength(
  segment: SearchedSegment,
  position: number,
  end: number,
  limit: number,
  atLeastOne: boolean,
): Promise<number> {
  let length = 0;
  const stopped = await segment.walk(position, end, ({ position: start, header }) => {
    const reached = start + header.sizeBytes;
    if (reached > limit && !(length === 0 && atLeastOne)) return true;
    length = reached - position;
    return reached >= limit;
  });
  if (stopped === undefined && length === 0) throw noBatchAt(segment, position);
  return length;
}

function wrongOffset(
  { logPath }: SearchedSegment,
  position: number,
  is: number,
  least: number,
  gapless: boolean,
): CorruptLogError {
  const must = gapless ? `${least} must follow` : `at least ${least} must follow`;
  return new CorruptLogError(
    logPath,
    position,
    `the record batch has base offset ${is}, where ${must}`,
  );
}

function noBatchAt({ logPath }: SearchedSegment, position: number): CorruptLogError {
  return new CorruptLogError(logPath, position, 'there is no record batch, where one must start');
}
