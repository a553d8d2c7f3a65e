import { join } from 'node:path';
import { CorruptLogError } from '../errors.js';
import { logFileName } from '../segment-name.js';
import type { CompactableLog } from './compactable-log.js';

/**
 * A segment below `cleanedTo`, where gaps between offsets are normal: only a list tells whether one is
 * missing. `end` is the base offset of the segment behind it.
 */
export type ListedSegment = readonly [base: number, end: number];

/**
 * The segments below offset `to`: the sealed ones of `log`, and of `before` what lies beyond those, as a
 * lost slot of the checkpoint may leave fewer sealed than there were.
 */
export function listSegments(
  log: Pick<CompactableLog, 'sealedSegments' | 'endOf'>,
  to: number,
  before: readonly ListedSegment[],
): readonly ListedSegment[] {
  const sealed = log.sealedSegments().filter(({ baseOffset }) => baseOffset < to);
  const listed = sealed.map((segment) => [segment.baseOffset, log.endOf(segment)] as const);
  const sealedTo = listed.at(-1)?.[1] ?? 0;
  return [...listed, ...before.filter(([base]) => base >= sealedTo)];
}

/** The list once those from `base` up to `end` have become one. */
export function withMerged(
  listed: readonly ListedSegment[],
  base: number,
  end: number,
): readonly ListedSegment[] {
  const below = listed.filter(([other]) => other < base);
  const beyond = listed.filter(([other]) => other >= end);
  return [...below, [base, end], ...beyond];
}

/** Those that hold something at or after `startOffset`, and are not among the segments that are there. */
export function lostSegments(
  listed: readonly ListedSegment[],
  present: readonly { readonly baseOffset: number }[],
  startOffset: number,
): readonly ListedSegment[] {
  const bases = new Set(present.map(({ baseOffset }) => baseOffset));
  return listed.filter(([base, end]) => end > startOffset && !bases.has(base));
}

/** What is to be said of `lost` in the log in `directory`. */
export function damageOf(
  directory: string,
  lost: readonly ListedSegment[],
): CorruptLogError | undefined {
  const [first] = lost;
  if (first === undefined) return undefined;
  const [base, end] = first;
  const more = lost.length === 1 ? '' : ` (and ${lost.length - 1} more)`;
  const problem = `the file is missing: compaction left the offsets ${base} to ${end - 1} in it${more}`;
  return new CorruptLogError(join(directory, logFileName(base)), 0, problem);
}
