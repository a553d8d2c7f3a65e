import { randomUUID } from 'node:crypto';
import { access, mkdir, open, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Native, NativeFile } from '@millrace/native';
import { syncDirectory, writeFileAtomically } from './atomic-file.js';
import { DataDirError, errnoOf } from './errors.js';
import { readJsonFile, writeJsonFile } from './json-file.js';

/** Raised when a release lays files out in a way that older ones cannot read. */
export const FORMAT_VERSION = 1;

const META_FILE = 'meta.json';
const LOCK_FILE = 'lock';
const CLEAN_FILE = 'clean';
const PID_ATTEMPTS = 2;
export const TOPICS_DIRECTORY = 'topics';

interface Meta {
  readonly formatVersion: number;
  readonly clusterId: string;
  readonly nodeId: number;
}

/** An open data directory: locked for this process, of a known format. */
export class DataDir {
  readonly topicsPath: string;

  private constructor(
    readonly path: string,
    readonly clusterId: string,
    readonly nodeId: number,
    /** The last broker on this directory stopped in good order. */
    readonly cleanStop: boolean,
    private readonly unlock: () => Promise<void>,
  ) {
    this.topicsPath = join(path, TOPICS_DIRECTORY);
  }

  /**
   * Makes the directory if need be, locks it, and takes the clean-stop marker away, durably.
   * @throws DataDirError
   */
  static async open(path: string, native: Native | undefined): Promise<DataDir> {
    await makeWritable(path);
    await refuseForeign(path);
    const unlock = await lock(path, native);
    try {
      const meta = await readOrMakeMeta(path);
      await mkdir(join(path, TOPICS_DIRECTORY), { recursive: true });
      const cleanStop = await takeCleanMarker(path);
      return new DataDir(path, meta.clusterId, meta.nodeId, cleanStop, unlock);
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** The next start may skip recovery: everything is synced and checkpointed. */
  async markClean(): Promise<void> {
    await writeFileAtomically(join(this.path, CLEAN_FILE), '');
  }

  async close(): Promise<void> {
    await this.unlock();
  }
}

async function makeWritable(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    await access(path, 7); // R_OK | W_OK | X_OK
  } catch (error) {
    const reason = errnoOf(error) ?? String(error);
    throw new DataDirError(
      'not-writable',
      `the data directory ${path} cannot be written to (${reason}); ` +
        'give this user the right to, or choose another with --data-dir',
      { cause: error },
    );
  }
}

async function readOrMakeMeta(path: string): Promise<Meta> {
  const metaPath = join(path, META_FILE);
  const content = await readJsonFile(metaPath);
  if (content === undefined) return makeMeta(path, metaPath);
  const version = field(content, 'formatVersion');
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new DataDirError(
      'newer-format',
      `the data directory ${path} has format ${version}, this millrace reads up to ` +
        `${FORMAT_VERSION}: use a newer millrace, or another --data-dir`,
    );
  }
  const clusterId = field(content, 'clusterId');
  const nodeId = field(content, 'nodeId');
  if (version !== FORMAT_VERSION || typeof clusterId !== 'string' || typeof nodeId !== 'number') {
    throw new DataDirError('damaged', `${metaPath} does not describe a data directory`);
  }
  return { formatVersion: version, clusterId, nodeId };
}

async function makeMeta(path: string, metaPath: string): Promise<Meta> {
  await refuseForeign(path);
  const meta = { formatVersion: FORMAT_VERSION, clusterId: randomUUID(), nodeId: 0 };
  await writeJsonFile(metaPath, meta);
  return meta;
}

/** A directory that holds other things is left as it is: not even a lock file is put there. */
async function refuseForeign(path: string): Promise<void> {
  const names = await readdir(path);
  if (names.includes(META_FILE)) return;
  const foreign = names.filter((name) => !ownNames.has(name));
  const topics = await readdir(join(path, TOPICS_DIRECTORY)).catch(() => []);
  if (foreign.length > 0 || topics.length > 0) {
    const what = topics.length > 0 ? 'topics' : `"${foreign.slice(0, 3).join('", "')}"`;
    throw new DataDirError(
      'not-a-data-directory',
      `${path} has no ${META_FILE} but holds ${what}: it is no data directory of millrace, or its ` +
        `${META_FILE} was lost; restore that file, or choose an empty --data-dir`,
    );
  }
}

/** What may lie in a directory before it has a `meta.json`. */
const ownNames = new Set([LOCK_FILE, `${META_FILE}.tmp`, TOPICS_DIRECTORY, 'lost+found']);

function field(content: unknown, name: string): unknown {
  if (typeof content !== 'object' || content === null) return undefined;
  return (content as Readonly<Record<string, unknown>>)[name];
}

/** Gone, and durably so, before the first append: a crash from now on is an unclean stop. */
async function takeCleanMarker(path: string): Promise<boolean> {
  try {
    await unlink(join(path, CLEAN_FILE));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
  await syncDirectory(path);
  return true;
}

function locked(path: string): DataDirError {
  return new DataDirError(
    'locked',
    `the data directory ${path} is in use by another broker; stop that one, or give this one ` +
      'another --data-dir',
  );
}

async function lock(path: string, native: Native | undefined): Promise<() => Promise<void>> {
  const lockPath = resolve(path, LOCK_FILE);
  return native === undefined ? lockByPid(path, lockPath) : lockByFlock(path, lockPath, native);
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
  ownedHere.add(lockPath);
  return () => {
    ownedHere.delete(lockPath);
    note('');
    file.close();
    return Promise.resolve();
  };
}

/** Marks a lock file whose owner holds no `flock`. */
const PID_ONLY = 'pid';
const LOCK_NOTE = /^(\d+)( pid)?\n$/;

/** Lock files that this process owns: its own pid in another may be that of an earlier process. */
const ownedHere = new Set<string>();

/** Node has no `flock`: a file with the owner's pid, which is stale when that process is gone. */
async function lockByPid(path: string, lockPath: string): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < PID_ATTEMPTS; attempt += 1) {
    try {
      await writeFile(lockPath, `${process.pid} ${PID_ONLY}\n`, { flag: 'wx', mode: 0o644 });
      ownedHere.add(lockPath);
      return async () => {
        ownedHere.delete(lockPath);
        await rm(lockPath, { force: true });
      };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    if ((await ownerOf(lockPath, 'any')) !== undefined) throw locked(path);
    await rm(lockPath, { force: true });
  }
  throw locked(path);
}

/** The living process that the lock file names; `pid only` passes over those that hold a `flock`. */
async function ownerOf(lockPath: string, kind: 'any' | 'pid only'): Promise<number | undefined> {
  const note = LOCK_NOTE.exec(await readFile(lockPath, 'utf8'));
  if (note === null || (kind === 'pid only' && note[2] === undefined)) return undefined;
  const pid = Number(note[1]);
  const alive = pid === process.pid ? ownedHere.has(lockPath) : isAlive(pid);
  return alive ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
