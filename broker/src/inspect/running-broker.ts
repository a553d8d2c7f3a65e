import { access, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { loadNative } from '@millrace/native';
import { META_FILE } from '../storage/data-dir.js';
import { ownerOf } from '../storage/data-dir-lock.js';
import { errnoOf } from '../storage/errors.js';
import { parseLogFileName } from '../storage/segment-name.js';

/** A data directory that no broker can open until `release`. */
export interface HeldDirectory {
  readonly release: () => void;
}

/**
 * Keeps brokers off a data directory, without writing to it: by its `flock`, if it has a lock file and the
 * native module is there. Undefined when a broker has it.
 */
export async function holdDirectory(dataDir: string): Promise<HeldDirectory | undefined> {
  const lockPath = join(dataDir, 'lock');
  if (!(await exists(lockPath))) return { release: () => undefined };
  const native = loadNative();
  const file = native?.openFile(lockPath, 'read');
  const release = (): void => {
    file?.close();
  };
  const mine = file?.lock() ?? true;
  if (mine && (await ownerOf(lockPath, file === undefined ? 'any' : 'pid only')) === undefined) {
    return { release };
  }
  release();
  return undefined;
}

/**
 * True when `path` is a file in a data directory that a broker seems to have open. Goes by the process
 * that the lock file names: to take the lock, be it for a moment, could keep a broker from starting.
 */
export async function isInUse(path: string): Promise<boolean> {
  const dataDir = await dataDirectoryOf(path);
  if (dataDir === undefined) return false;
  try {
    return (await ownerOf(join(dataDir, 'lock'), 'any')) !== undefined;
  } catch {
    // No lock file, or none that may be read: who asks gets to know less, but sees the file.
    return false;
  }
}

/**
 * False for what a broker does not write to any more: the files of every segment but the last, and what
 * recovery set aside.
 */
export async function mayChange(path: string): Promise<boolean> {
  const ofSegment = /^(\d{20})\.(log|index)/.exec(basename(path));
  if (ofSegment === null) return true;
  const names = await readdir(dirname(path));
  return !names.some((name) => {
    const base = parseLogFileName(name);
    return base !== undefined && base > Number(ofSegment[1]);
  });
}

/** Files lie in the data directory, a topic's, or a partition's. */
const MAX_LEVELS = 4;

async function dataDirectoryOf(path: string): Promise<string | undefined> {
  let directory = dirname(path);
  for (let level = 0; level < MAX_LEVELS; level += 1) {
    if (await exists(join(directory, META_FILE))) return directory;
    directory = dirname(directory);
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}
