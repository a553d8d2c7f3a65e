import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { loadNative } from '@millrace/native';
import type { Native } from '@millrace/native';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { DataDir } from '../../broker/src/storage/data-dir.js';
import { FileCache } from '../../broker/src/storage/file-cache.js';
import { FileRemovals } from '../../broker/src/storage/file-removals.js';
import { FlushScheduler } from '../../broker/src/storage/flush-scheduler.js';
import { IndexCache } from '../../broker/src/storage/index-cache.js';
import type { LogEnvironment } from '../../broker/src/storage/log-environment.js';
import { choosePersistence } from '../../broker/src/storage/persistence/choose.js';
import type { Persistence } from '../../broker/src/storage/persistence/persistence.js';
import { defaultStorageConfig } from '../../broker/src/storage/storage-config.js';
import type { StorageConfig } from '../../broker/src/storage/storage-config.js';
import type { Partition } from '../../broker/src/topics/partition.js';
import { TopicRegistry } from '../../broker/src/topics/topic-registry.js';
import { makeTempDir } from './temp-dir.js';
import { T0 } from './batches.js';

export const silentLogger: Logger = pino({ level: 'silent' });

/** The ways to persist: by mapping, by `pwrite`, and by Node's own API. */
export const persistKinds = ['adaptive', 'mmap', 'write', 'node'] as const;
export type PersistKind = (typeof persistKinds)[number];

type TempDir = Awaited<ReturnType<typeof makeTempDir>>;

/** The native module; the tests need it, as the default build has it. */
export function nativeOrThrow(): Native {
  const native = loadNative();
  if (native === undefined) throw new Error('build the native module first');
  return native;
}

/** A clock that moves when the test says so. */
export class TestClock {
  nowMs = T0;
  readonly now = (): number => this.nowMs;
  advance(ms: number): void {
    this.nowMs += ms;
  }
}

export interface TestStorageOptions {
  readonly kind?: PersistKind;
  /** Puts faults around the persistence. */
  readonly wrap?: (inner: Persistence) => Persistence;
  readonly config?: Partial<StorageConfig>;
  readonly clock?: TestClock;
  /** Default: every id. */
  readonly isIssuedProducerId?: (producerId: number) => boolean;
  /** Default: says nothing. */
  readonly logger?: Logger;
}

export interface TestStorage {
  readonly topics: TopicRegistry;
  readonly environment: LogEnvironment;
  readonly clock: TestClock;
  readonly dataDir: DataDir;
  /** The clean stop. */
  close(): Promise<void>;
  /** Lets go of descriptors and the lock, without syncing or marking anything. */
  drop(): Promise<void>;
}

/** A storage as `openStorage` makes it, with what a test puts in. */
export async function openTestStorage(
  path: string,
  options: TestStorageOptions = {},
): Promise<TestStorage> {
  const { kind = 'mmap', wrap, clock = new TestClock(), logger = silentLogger } = options;
  const config: StorageConfig = {
    ...defaultStorageConfig,
    segmentBytes: 1 << 20,
    ...options.config,
  };
  const native = kind === 'node' ? undefined : nativeOrThrow();
  const chosen = choosePersistence(kind === 'node' ? 'write' : kind, config);
  const dataDir = await DataDir.open(path, native);
  const environment: LogEnvironment = {
    native,
    persistence: wrap === undefined ? chosen : wrap(chosen),
    files: new FileCache(native, config.maxOpenSegmentFiles),
    indexes: new IndexCache(config.indexCacheBytes),
    removals: new FileRemovals(native),
    flushes: new FlushScheduler(clock.now),
    config,
    logger,
    isIssuedProducerId: options.isIssuedProducerId ?? (() => true),
    now: clock.now,
  };
  const letGo = async (): Promise<void> => {
    await environment.removals.close();
    environment.flushes.close();
    environment.files.close();
    await dataDir.close();
  };
  try {
    const topics = await TopicRegistry.load(dataDir.topicsPath, dataDir.cleanStop, environment);
    return {
      ...{ topics, environment, clock, dataDir, drop: letGo },
      close: async () => {
        try {
          if (await topics.close()) await dataDir.markClean();
        } finally {
          await letGo();
        }
      },
    };
  } catch (error) {
    await letGo();
    throw error;
  }
}

/** So often a copy is begun, when files went or were replaced while the ones before were made. */
const CRASH_COPY_ATTEMPTS = 50;

/**
 * What a killed broker leaves: the files of a running one, as the page cache has them. A copy takes
 * time, in which syncs go on: checkpoints are copied first, for one may be older than its log but
 * never newer. When the cleaner or retention takes a file away meanwhile, the copy is a mixture that
 * no crash leaves, and is begun again.
 */
export async function crashCopy(dataDir: string): Promise<TempDir> {
  for (let attempt = 0; attempt < CRASH_COPY_ATTEMPTS; attempt += 1) {
    const copy = await makeTempDir();
    if (await isCopiedWhole(dataDir, copy.path)) return copy;
    await copy.remove();
  }
  throw new Error(`files of ${dataDir} went in each of ${CRASH_COPY_ATTEMPTS} copies`);
}

/**
 * False when what there was at first had gone, or was another file, before all was copied. Copies by
 * reading to the end: libuv's copy of a file counts down from the size that a file had at first, and
 * spins for ever when a sealed segment is trimmed meanwhile.
 */
async function isCopiedWhole(from: string, to: string): Promise<boolean> {
  const isCheckpoint = (path: string): boolean => basename(path) === 'checkpoint';
  try {
    const { directories, files } = await entriesOf(from);
    for (const path of directories) await mkdir(join(to, path), { recursive: true });
    const checkpoints = [...files.keys()].filter(isCheckpoint);
    const others = [...files.keys()].filter((path) => !isCheckpoint(path));
    for (const path of [...checkpoints, ...others])
      await writeFile(join(to, path), await readFile(join(from, path)));
    const after = await entriesOf(from);
    // A checkpoint that is replaced meanwhile does no harm: it was copied before its log.
    return others.every((path) => after.files.get(path) === files.get(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** What lies below a data directory and outlives its broker, by relative path; files with inodes. */
async function entriesOf(dataDir: string): Promise<{
  readonly directories: readonly string[];
  readonly files: ReadonlyMap<string, number>;
}> {
  const directories: string[] = [];
  const files = new Map<string, number>();
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    const path = relative(dataDir, join(entry.parentPath, entry.name));
    if (path === 'lock' || path.split(sep).some((name) => name.endsWith('.tmp'))) continue;
    if (entry.isDirectory()) directories.push(path);
    else files.set(path, (await stat(join(dataDir, path))).ino);
  }
  return { directories, files };
}

/** The first partition of a topic. */
export function partitionOf(storage: TestStorage, name = 't', index = 0): Partition {
  const partition = storage.topics.byName(name)?.partitions[index];
  if (partition === undefined) throw new Error(`there is no ${name}-${index}`);
  return partition;
}

/** Makes topic `t` with one partition. */
export async function createTopic(
  storage: TestStorage,
  config: Readonly<Record<string, string>> = {},
  name = 't',
  partitions = 1,
): Promise<Partition> {
  await storage.topics.create({ name, partitions, config });
  return partitionOf(storage, name);
}

/** Where the log of a partition lies, below a data directory or a copy of it. */
export function logDirectory(dataDir: string, partition: Partition): string {
  return join(dataDir, 'topics', partition.topicId, String(partition.index));
}

/** File names with that ending, sorted. */
export async function filesIn(directory: string, ending: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(ending)).sort();
}
