import { mkdir, readdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from './atomic-file.js';
import { errnoOf } from './errors.js';
import type { LogEnvironment } from './log-environment.js';
import { indexFileName, parseLogFileName } from './segment-name.js';
import type { Segment } from './segment.js';

/** Names of a partition's files besides its segments. */
export const CHECKPOINT_FILE = 'checkpoint';
export const PRODUCERS_FILE = 'producers.json';
export const COMPACTION_FILE = 'compaction.json';

/** A segment file as a restart finds it. */
export interface FoundSegment {
  readonly baseOffset: number;
  readonly path: string;
  readonly indexPath: string;
  readonly fileBytes: number;
}

/**
 * Makes a partition's directory unless it is there; its name is durable when this resolves.
 * @throws Error with code `ENOENT` when the topic's directory is gone: it must not come back.
 */
export async function ensureLogDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  // Also when it was there: a process killed between the two steps did not get to this one.
  await syncDirectory(dirname(directory));
}

/** The names in a partition's directory; none when there is no such directory. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The segment files among `names` in `directory`, by base offset. */
export async function findSegments(
  directory: string,
  names: readonly string[],
): Promise<FoundSegment[]> {
  const found: FoundSegment[] = [];
  for (const name of names) {
    const baseOffset = parseLogFileName(name);
    if (baseOffset === undefined) continue;
    const path = join(directory, name);
    const indexPath = join(directory, indexFileName(baseOffset));
    found.push({ baseOffset, path, indexPath, fileBytes: (await stat(path)).size });
  }
  return found.sort((a, b) => a.baseOffset - b.baseOffset);
}

/**
 * Removes the files of segments that are no part of their log any more. What cannot be removed is
 * reported: the next start tries again.
 */
export async function removeSegmentFiles(
  segments: readonly Pick<Segment, 'logPath' | 'indexPath'>[],
  { removals, logger }: Pick<LogEnvironment, 'removals' | 'logger'>,
): Promise<void> {
  for (const { logPath, indexPath } of segments) {
    // The index first: one without its log would be found by nobody.
    for (const path of [indexPath, logPath]) {
      try {
        await removals.remove(path);
      } catch (error) {
        logger.warn({ err: error, file: path }, 'a removed segment is still there until a restart');
      }
    }
  }
}

/** Removes a file; one that is gone already is no error. */
export async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
