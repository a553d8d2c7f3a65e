import { statSync } from 'node:fs';
import { DataDirError, errnoOf } from './errors.js';

/**
 * Why this process may not write to what is at `path`: who it runs as, and whose that is, by number. In a
 * container the names of users tell nothing about who owns a volume.
 */
export function noPermission(path: string): string {
  const user = process.geteuid?.();
  const owner = ownerOf(path);
  if (user === undefined || owner === undefined || user === owner) {
    return 'no permission to write there';
  }
  return `user ${user} may not write there, it belongs to user ${owner}`;
}

function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid;
  } catch {
    return undefined;
  }
}

/** A failed call on a file in a data directory that this user may not use; any other error as it is. */
export function explained(error: unknown): unknown {
  const refused = errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM';
  if (!refused || error instanceof DataDirError) return error;
  const { path } = error as { readonly path?: unknown };
  if (typeof path !== 'string') return error;
  return new DataDirError(
    'not-writable',
    `cannot use ${path}: ${noPermission(path)}; give this user all of the data directory, or choose ` +
      'another by --data-dir',
    { cause: error },
  );
}
