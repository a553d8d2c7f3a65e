import { randomUUID } from 'node:crypto';
import { link, open, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Native, NativeFile } from '@millrace/native';
import { DataDirError, errnoOf } from './errors.js';

const LOCK_FILE = 'lock';
/** A lock file that is being written. */
const LOCK_DRAFT = /^lock\.[0-9a-f-]{36}\.tmp$/;
const PID_ATTEMPTS = 2;
/** What link(2) says on filesystems without hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

function locked(path: string): DataDirError {
  return new DataDirError(
    'locked',
    `the data directory ${path} is in use by another broker; stop that one, or give this one ` +
      'another --data-dir',
  );
}

/** Lock files that this process owns, or is about to: its own pid in another is an earlier process's. */
const ownedHere = new Set<string>();

/** True for the names that locking puts into a data directory. */
export function isLockName(name: string): boolean {
  return name === LOCK_FILE || LOCK_DRAFT.test(name);
}

/**
 * Locks the directory for this process: by `flock(2)`, or without the native module by a file with
 * this process's pid. Each sees the other. Resolves to the way to unlock.
 * @throws DataDirError `locked`
 */
export async function lockDirectory(
  path: string,
  native: Native | undefined,
): Promise<() => Promise<void>> {
  const lockPath = join(await realpath(path), LOCK_FILE);
  if (ownedHere.has(lockPath)) throw locked(path);
  ownedHere.add(lockPath);
  try {
    const unlock = await (native === undefined
      ? lockByPid(path, lockPath)
      : lockByFlock(path, lockPath, native));
    return async () => {
      try {
        await unlock();
      } finally {
        ownedHere.delete(lockPath);
      }
    };
  } catch (error) {
    ownedHere.delete(lockPath);
    throw error;
  }
}

/** `flock(2)`: the kernel lets go when the process ends, however it ends. */
async function lockByFlock(
  path: string,
  lockPath: string,
  native: Native,
): Promise<() => Promise<void>> {
  const made = await open(lockPath, 'a', 0o644);
  await made.close();
  const file: NativeFile = native.openFile(lockPath, 'readwrite');
  if (!file.lock() || (await ownerOf(lockPath, 'pid only')) !== undefined) {
    file.close();
    throw locked(path);
  }
  const note = (text: string): void => {
    try {
      file.truncate(0);
      file.write([Buffer.from(text)], 0);
    } catch {
      // The note is for brokers that cannot see the flock; a full disk must not keep this one out.
    }
  };
  note(`${process.pid}\n`);
  return () => {
    note('');
    file.close();
    return Promise.resolve();
  };
}

/** Marks a lock file whose owner holds no `flock`. */
const PID_ONLY = 'pid';
const LOCK_NOTE = /^(\d+)( pid)?\n$/;

/** Node has no `flock`: a file with the owner's pid, which is stale when that process is gone. */
async function lockByPid(path: string, lockPath: string): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < PID_ATTEMPTS; attempt += 1) {
    try {
      await writeWhole(lockPath, `${process.pid} ${PID_ONLY}\n`);
      return () => rm(lockPath, { force: true });
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    if ((await ownerOf(lockPath, 'any')) !== undefined) throw locked(path);
    await rm(lockPath, { force: true });
  }
  throw locked(path);
}

/**
 * Makes a file, complete from the moment that it is there: an empty lock file would be taken for stale.
 * @throws Error with code `EEXIST`
 */
async function writeWhole(path: string, content: string): Promise<void> {
  const draft = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(draft, content, { flag: 'wx', mode: 0o644 });
    await link(draft, path);
  } catch (error) {
    if (!NO_LINKS.has(errnoOf(error) ?? '')) throw error;
    await writeFile(path, content, { flag: 'wx', mode: 0o644 });
  } finally {
    await rm(draft, { force: true });
  }
}

/** The living process that the lock file names; `pid only` passes over those that hold a `flock`. */
export async function ownerOf(
  lockPath: string,
  kind: 'any' | 'pid only',
): Promise<number | undefined> {
  const note = LOCK_NOTE.exec(await readFile(lockPath, 'utf8'));
  if (note === null || (kind === 'pid only' && note[2] === undefined)) return undefined;
  const pid = Number(note[1]);
  // Who asks is the only one of this process to do so: its own pid is of one before it.
  return pid !== process.pid && isAlive(pid) ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
