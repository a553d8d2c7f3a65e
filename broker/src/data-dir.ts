import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import type { DirectoryProbe, Native } from '@millrace/native';
import { StartupError } from './startup-errors.js';
import { errnoOf } from './storage/errors.js';
import { makeDirectories } from './storage/make-directories.js';
import { noPermission } from './storage/no-permission.js';
import { messageOf } from './message-of.js';

/**
 * Makes the data directory if it is not there, and sees whether it can be written to.
 *
 * @returns its absolute path.
 * @throws StartupError that says what is wrong and what to do.
 */
export function prepareDataDir(dataDir: string): string {
  const path = resolve(dataDir);
  try {
    makeDirectories(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(path, error);
  }
  return path;
}

/**
 * What the filesystem of the data directory can do.
 * @throws StartupError when not even a scratch file can be made there.
 */
export function probeDataDir(path: string, native: Native): DirectoryProbe {
  try {
    return native.probeDirectory(path);
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, error: unknown): StartupError {
  const message = messageOf(error);
  const reasons: Readonly<Record<string, string>> = {
    EACCES: noPermission(path),
    EPERM: noPermission(path),
    EROFS: 'its filesystem is mounted read-only',
    ENOSPC: 'no space is left on its device',
    ENOTDIR: 'a part of the path is not a directory',
    EEXIST: 'it is not a directory',
    ENOENT: 'its filesystem lets nobody make directories there',
  };
  return new StartupError(
    `cannot use the data directory ${path}: ${reasons[errnoOf(error) ?? ''] ?? message}; ` +
      'change that, or choose another by --data-dir',
    { cause: error },
  );
}
