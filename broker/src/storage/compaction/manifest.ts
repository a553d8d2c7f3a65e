import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory, writeFileAtomically } from '../atomic-file.js';
import { DataDirError } from '../errors.js';
import { encodeCompactJsonFile, readJsonFile } from '../json-file.js';
import { namesIn, unlinkIfThere } from '../log-files.js';
import { indexFileName, logFileName, parseLogFileName } from '../segment-name.js';
import { withMerged } from './listed-segments.js';
import type { ListedSegment } from './listed-segments.js';
import { decodeManifest } from './manifest-codec.js';

const FILE_NAME = 'compaction.json';
/** Ending of the file that takes a segment's name once the swap has begun for good. */
export const CLEANED_ENDING = '.cleaned';

/** A swap under way: the segments from `base` up to `end` become the one named `base`. */
export interface PendingSwap {
  readonly base: number;
  /** The base offset of the segment after the last input. */
  readonly end: number;
  /** Size of the cleaned file. */
  readonly bytes: number;
}

/** A pass over a log that has ended. */
export interface CompletedPass {
  /** Below this offset it left one record for each key. */
  readonly to: number;
  readonly endedAtMs: number;
}

/** What compaction knows of one log, in `compaction.json` beside it. */
export interface CompactionManifest {
  /** Below this offset segments were rewritten: offsets may be missing there. */
  readonly cleanedTo: number;
  /** Below this offset a key has one record. Before `cleanedTo` when a pass did not get to its end. */
  readonly dirtyFrom: number;
  /** Oldest first; what `tombstones.ts` needs to know when a tombstone was first passed over. */
  readonly passes: readonly CompletedPass[];
  /** The lowest offset of a tombstone that the last pass kept; -1: it kept none. */
  readonly firstTombstone: number;
  /**
   * The segments below `cleanedTo`, oldest first; while a swap is pending with its inputs. Retention may
   * have removed the first of them since. None in files from before they were listed.
   */
  readonly segments: readonly ListedSegment[];
  readonly pending?: PendingSwap;
}

export const emptyManifest: CompactionManifest = {
  cleanedTo: 0,
  dirtyFrom: 0,
  passes: [],
  firstTombstone: -1,
  segments: [],
};

/** The file that the cleaned records of the segments from `baseOffset` on are written to. */
export function cleanedFileName(baseOffset: number): string {
  return `${logFileName(baseOffset)}${CLEANED_ENDING}`;
}

/** The index of those records. */
export function cleanedIndexName(baseOffset: number): string {
  return `${indexFileName(baseOffset)}${CLEANED_ENDING}`;
}

/**
 * What is known of the log in `directory`; the empty manifest where it was never compacted.
 * @throws DataDirError `damaged`
 */
export async function readManifest(directory: string): Promise<CompactionManifest> {
  const path = join(directory, FILE_NAME);
  const content = await readJsonFile(path);
  if (content === undefined) return emptyManifest;
  const manifest = decodeManifest(content);
  if (manifest !== undefined) return manifest;
  throw new DataDirError('damaged', `${path} is damaged: it does not say what was compacted`);
}

/** Resolves when `manifest` is durably what the log's directory says. */
export async function writeManifest(
  directory: string,
  manifest: CompactionManifest,
): Promise<void> {
  await writeFileAtomically(join(directory, FILE_NAME), encodeCompactJsonFile(manifest));
}

/** What a start needs to know: below which offset gaps are normal, and which segments are there. */
export type CleanedPart = Pick<CompactionManifest, 'cleanedTo' | 'segments'>;

/**
 * Ends what a crash interrupted, before the segments of `directory` are listed. The rename of the
 * cleaned file decides: before it the old segments are the log, after it the new one is.
 * @throws DataDirError `damaged` when old and new segments cannot be told apart.
 */
export async function recoverCompaction(directory: string): Promise<CleanedPart> {
  const names = await namesIn(directory);
  const manifest = await readManifest(directory);
  const { pending } = manifest;
  if (pending === undefined) {
    await removeCleaned(directory, names);
    return manifest;
  }
  const settled = names.includes(cleanedFileName(pending.base))
    ? withoutPending(manifest)
    : await completeSwap(directory, manifest, pending, names);
  // In this order: a manifest that tells of a swap without its cleaned file says that it was renamed.
  await writeManifest(directory, settled);
  await removeCleaned(directory, names);
  return settled;
}

/** The manifest as if there had been no swap. */
export function withoutPending(manifest: CompactionManifest): CompactionManifest {
  const { cleanedTo, dirtyFrom, passes, firstTombstone } = manifest;
  const segments = manifest.segments.filter(([base]) => base < cleanedTo);
  return { cleanedTo, dirtyFrom, passes, firstTombstone, segments };
}

/** The manifest after the swap, with the pass it is part of still under way. */
export function afterSwap(manifest: CompactionManifest, swap: PendingSwap): CompactionManifest {
  const { base, end } = swap;
  const cleanedTo = Math.max(manifest.cleanedTo, end);
  const segments = withMerged(manifest.segments, base, end);
  return withoutPending({ ...manifest, cleanedTo, segments });
}

/** Removes the files of jobs that did not get to their swap. Not while one is pending. */
export async function removeCleaned(directory: string, names?: readonly string[]): Promise<void> {
  for (const name of names ?? (await namesIn(directory))) {
    if (name.endsWith(CLEANED_ENDING)) await unlinkIfThere(join(directory, name));
  }
}

/** The renamed file has the records of all inputs: those behind the first go. */
async function completeSwap(
  directory: string,
  manifest: CompactionManifest,
  pending: PendingSwap,
  names: readonly string[],
): Promise<CompactionManifest> {
  const { base, end, bytes } = pending;
  if (names.includes(logFileName(base))) {
    const { size } = await stat(join(directory, logFileName(base)));
    if (size !== bytes) {
      const path = join(directory, FILE_NAME);
      const what = `says that ${logFileName(base)} has ${bytes} bytes, but there are ${size}`;
      throw new DataDirError('damaged', `${path} ${what}; restore the log from a backup`);
    }
  }
  for (const name of names) {
    const offset = parseLogFileName(name);
    if (offset !== undefined && offset > base && offset < end) {
      await removeSegmentFiles(directory, offset);
    }
  }
  // They must stay gone before the manifest forgets what they were.
  await syncDirectory(directory);
  return afterSwap(manifest, pending);
}

/** Removes a segment's files; one that is gone already is no error. */
async function removeSegmentFiles(directory: string, baseOffset: number): Promise<void> {
  await unlinkIfThere(join(directory, indexFileName(baseOffset)));
  await unlinkIfThere(join(directory, logFileName(baseOffset)));
}
