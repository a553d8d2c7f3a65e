import { randomUUID } from 'node:crypto';
import { access, readdir, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Native } from '@millrace/native';
import { syncDirectory, writeFileAtomically } from './atomic-file.js';
import { isLockName, lockDirectory } from './data-dir-lock.js';
import { DataDirError, errnoOf } from './errors.js';
import {
  COPY_SUFFIX,
  healJsonFile,
  readJsonFileOrCopy,
  writeJsonFileAndCopy,
} from './json-file.js';
import { makeDirectories } from './make-directories.js';
import { explained } from './no-permission.js';

/** Raised when a release lays files out in a way that older ones cannot read. */
export const FORMAT_VERSION = 1;

export const META_FILE = 'meta.json';
export const META_COPY = `${META_FILE}${COPY_SUFFIX}`;
const CLEAN_FILE = 'clean';
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
    /** There were topics when it was opened. */
    readonly hadTopics: boolean,
    private readonly unlock: () => Promise<void>,
  ) {
    this.topicsPath = join(path, TOPICS_DIRECTORY);
  }

  /**
   * Makes the directory if need be, locks it, and takes the clean-stop marker away, durably.
   * @throws DataDirError
   */
  static async open(path: string, native: Native | undefined): Promise<DataDir> {
    try {
      return await DataDir.#open(path, native);
    } catch (error) {
      throw explained(error);
    }
  }

  static async #open(path: string, native: Native | undefined): Promise<DataDir> {
    await makeWritable(path);
    await refuseForeign(path);
    const unlock = await lockDirectory(path, native);
    try {
      const meta = await readOrMakeMeta(path);
      const hadTopics = (await readdir(join(path, TOPICS_DIRECTORY))).length > 0;
      const cleanStop = await takeCleanMarker(path);
      return new DataDir(path, meta.clusterId, meta.nodeId, cleanStop, hadTopics, unlock);
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
    makeDirectories(path);
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

/** Errors of directories above the data directory that cannot be opened or synced: they are not ours. */
const NOT_SYNCABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'EINVAL']);

/** Whoever made them, the directories down to a new data directory must survive a power cut. */
async function syncAncestors(path: string): Promise<void> {
  let child = resolve(path);
  for (let parent = dirname(child); parent !== child; parent = dirname(child)) {
    try {
      await syncDirectory(parent);
    } catch (error) {
      if (!NOT_SYNCABLE.has(errnoOf(error) ?? '')) throw error;
    }
    child = parent;
  }
}

async function makeTopics(path: string): Promise<void> {
  if (makeDirectories(join(path, TOPICS_DIRECTORY)).length > 0) await syncDirectory(path);
}

async function readOrMakeMeta(path: string): Promise<Meta> {
  const metaPath = join(path, META_FILE);
  const content = await readJsonFileOrCopy(metaPath);
  if (content === undefined) return makeMeta(path, metaPath);
  await checkTopics(path);
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
  await healJsonFile(metaPath, { formatVersion: version, clusterId, nodeId });
  return { formatVersion: version, clusterId, nodeId };
}

/** Where there is a meta.json the directory was made before it. */
async function checkTopics(path: string): Promise<void> {
  const topics = join(path, TOPICS_DIRECTORY);
  try {
    await access(topics);
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    const message = `${topics} is missing, and all topics with it; restore it from a backup`;
    throw new DataDirError('damaged', message, { cause });
  }
}

async function makeMeta(path: string, metaPath: string): Promise<Meta> {
  await refuseForeign(path);
  // First: where there is a meta.json, `topics` is there too, and durably so.
  await makeTopics(path);
  await syncAncestors(path);
  const meta = { formatVersion: FORMAT_VERSION, clusterId: randomUUID(), nodeId: 0 };
  await writeJsonFileAndCopy(metaPath, meta);
  return meta;
}

/** A directory that holds other things is left as it is: not even a lock file is put there. */
async function refuseForeign(path: string): Promise<void> {
  const names = await readdir(path);
  if (names.includes(META_FILE) || names.includes(META_COPY)) return;
  const foreign = names.filter((name) => !ownNames.has(name) && !isLockName(name));
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
const ownNames = new Set([`${META_FILE}.tmp`, `${META_COPY}.tmp`, TOPICS_DIRECTORY, 'lost+found']);

function field(content: unknown, name: string): unknown {
  if (typeof content !== 'object' || content === null) return undefined;
  return (content as Readonly<Record<string, unknown>>)[name];
}

/**
 * Gone, and durably so, before the first append: a crash from now on is an unclean stop. Also where it is gone
 * already: a start before this one may have been killed before it synced that, and it would come back.
 */
async function takeCleanMarker(path: string): Promise<boolean> {
  const found = await unlink(join(path, CLEAN_FILE)).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    },
  );
  await syncDirectory(path);
  return found;
}
