import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { errnoOf } from './errors.js';

/**
 * Makes a directory and those above it that are missing; one that is there is left as it is.
 *
 * Node's recursive `mkdir` never returns, and cannot be interrupted, where a parent exists and yet
 * takes no directories (`/proc`): it makes the parent again and again. This gives up with the error.
 *
 * @returns the directories that were missing, outermost first.
 * @throws Error with the `code` of mkdir(2): `EEXIST` or `ENOTDIR` where a file is in the way,
 *   `ENOENT` where the filesystem has no directories of one's own.
 */
export function makeDirectories(path: string): readonly string[] {
  const missing: string[] = [];
  for (let at = resolve(path); !isDirectory(at); at = dirname(at)) missing.push(at);
  missing.reverse();
  for (const directory of missing) makeOne(directory);
  return missing;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

function makeOne(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (errnoOf(error) !== 'EEXIST' || !isDirectory(directory)) throw error;
  }
}
