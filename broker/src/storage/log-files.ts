import { mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from './atomic-file.js';
import { errnoOf } from './errors.js';
import { parseLogFileName } from './segment-name.js';

/** Names of a partition's files besides its segments. */
export const CHECKPOINT_FILE = 'checkpoint';
export const PRODUCERS_FILE = 'producers.json';

/** A segment file as a restart finds it. */
export interface FoundSegment {
  readonly baseOffset: number;
  readonly path: string;
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

/** The segment files in `directory` by base offset; none when there is no such directory. */
export async function findSegments(directory: string): Promise<FoundSegment[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  const found: FoundSegment[] = [];
  for (const name of names) {
    const baseOffset = parseLogFileName(name);
    if (baseOffset === undefined) continue;
    const path = join(directory, name);
    found.push({ baseOffset, path, fileBytes: (await stat(path)).size });
  }
  return found.sort((a, b) => a.baseOffset - b.baseOffset);
}
