import type { Native } from '@millrace/native';
import type { Logger } from 'pino';
import { createNullKeyFinder } from '../topics/null-keys/thread-finder.js';
import type { NullKeyFinder } from '../topics/null-keys/finder.js';
import { TopicRegistry } from '../topics/topic-registry.js';
import { Cleaner } from './compaction/cleaner.js';
import { DataDir } from './data-dir.js';
import { DiskSpace } from './disk-space.js';
import { storageFailure } from './errors.js';
import { FileCache } from './file-cache.js';
import { FileRemovals } from './file-removals.js';
import { FlushScheduler } from './flush-scheduler.js';
import { IndexCache } from './index-cache.js';
import type { Log } from './log.js';
import type { LogEnvironment } from './log-environment.js';
import { Maintenance } from './maintenance.js';
import { choosePersistence } from './persistence/choose.js';
import type { PersistName } from './persistence/persistence.js';
import { ProducerIds } from './producer-ids.js';
import type { StorageConfig } from './storage-config.js';
import { StorageCounters } from './storage-counters.js';

export interface StorageOptions {
  readonly dataDir: string;
  readonly persist: PersistName;
  readonly native: Native | undefined;
  readonly logger: Logger;
  readonly config: StorageConfig;
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly now?: () => number;
}

export interface StorageStats {
  readonly topics: number;
  readonly partitions: number;
  /** Left out, for their `topic.json` cannot be read. */
  readonly unreadableTopics: number;
  readonly offlinePartitions: number;
  /** They serve what is sound of them, and take no appends. */
  readonly damagedPartitions: number;
  readonly segments: number;
  readonly logBytes: number;
  /** Descriptors of sealed segments kept open for readers. */
  readonly openSegmentFiles: number;
  readonly indexCacheBytes: number;
}

/** A broker's data directory, open: its topics, and what is needed to give out producer ids. */
export interface Storage {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly topics: TopicRegistry;
  readonly counters: StorageCounters;
  /** How full its disk is. */
  readonly disk: DiskSpace;
  /** A producer id that was never given before. @throws ProtocolError DISK_FULL, STORAGE_ERROR */
  nextProducerId(): Promise<number>;
  /** True when that producer id was given out, or may have been before a restart. */
  isIssuedProducerId(producerId: number): boolean;
  stats(): StorageStats;
  /**
   * Syncs and checkpoints everything and unlocks. The clean-stop marker is left only when every
   * partition is in good order: after any other the next start has to look.
   */
  close(): Promise<void>;
}

/**
 * Opens a data directory: locks it, reads its topics, and recovers every log that the last broker did
 * not close.
 * @throws DataDirError when the directory cannot be used.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { config, native, logger } = options;
  const now = options.now ?? Date.now;
  const dataDir = await DataDir.open(options.dataDir, native);
  const disk = await DiskSpace.watch({
    directory: dataDir.path,
    minFreeBytes: config.minFreeDiskBytes,
    logger,
  });
  try {
    const producerIds = await ProducerIds.load(dataDir.path, config.producerIdBlock, {
      ...{ isNew: !dataDir.hadTopics, nowMs: now(), logger },
    });
    const environment = {
      native,
      persistence: choosePersistence(options.persist, config, (bytes) => disk.grew(bytes)),
      files: new FileCache(native, config.maxOpenSegmentFiles),
      indexes: new IndexCache(config.indexCacheBytes),
      removals: new FileRemovals(native),
      flushes: new FlushScheduler(now),
      config,
      logger,
      counters: new StorageCounters(),
      nullKeys: createNullKeyFinder(),
      isIssuedProducerId: (producerId) => producerIds.isIssued(producerId),
      now,
    } satisfies LogEnvironment;
    const topics = await TopicRegistry.load(dataDir.topicsPath, dataDir.cleanStop, environment);
    sayWhatWasChecked(dataDir.cleanStop, topics.partitionCount, logger);
    const logs = (): Iterable<Log> => openLogs(topics);
    const cleaner = new Cleaner(logs, environment);
    const maintenance = new Maintenance({ logs, environment, cleaner });
    maintenance.start();
    return new OpenStorage(dataDir, disk, topics, producerIds, maintenance, environment);
  } catch (error) {
    disk.close();
    await dataDir.close();
    throw error;
  }
}

/** Not for a directory without topics: nobody stopped on it. */
function sayWhatWasChecked(cleanStop: boolean, partitions: number, logger: Logger): void {
  if (partitions === 0) return;
  const what = cleanStop
    ? 'the last broker stopped in order: recovery was skipped'
    : 'the last broker did not stop in order: the tail of every partition was checked';
  logger.info({ partitions, cleanStop }, what);
}

/** The logs that work, one at a time: topics come and go between two. */
function* openLogs(topics: TopicRegistry): Iterable<Log> {
  for (const topic of topics.list()) {
    for (const { log, state } of topic.partitions) {
      if (log !== undefined && state === 'online') yield log;
    }
  }
}

/** With what a storage that is open does not go without. */
interface OpenEnvironment extends LogEnvironment {
  readonly counters: StorageCounters;
  readonly nullKeys: NullKeyFinder;
}

class OpenStorage implements Storage {
  #closing: Promise<void> | undefined;

  constructor(
    private readonly dataDir: DataDir,
    readonly disk: DiskSpace,
    readonly topics: TopicRegistry,
    private readonly producerIds: ProducerIds,
    private readonly maintenance: Maintenance,
    private readonly environment: OpenEnvironment,
  ) {}

  get counters(): StorageCounters {
    return this.environment.counters;
  }

  get clusterId(): string {
    return this.dataDir.clusterId;
  }

  get nodeId(): number {
    return this.dataDir.nodeId;
  }

  async nextProducerId(): Promise<number> {
    try {
      return await this.producerIds.next();
    } catch (error) {
      throw storageFailure('reserve producer ids', error);
    }
  }

  isIssuedProducerId(producerId: number): boolean {
    return this.producerIds.isIssued(producerId);
  }

  stats(): StorageStats {
    const topics = this.topics.list();
    const partitions = topics.flatMap((topic) => topic.partitions);
    return {
      topics: topics.length,
      partitions: partitions.length,
      unreadableTopics: this.topics.unreadableTopics,
      offlinePartitions: partitions.filter(({ state }) => state === 'offline').length,
      damagedPartitions: partitions.filter(({ state }) => state === 'damaged').length,
      segments: partitions.reduce((sum, partition) => sum + partition.segmentCount, 0),
      logBytes: partitions.reduce((sum, partition) => sum + partition.sizeBytes, 0),
      openSegmentFiles: this.environment.files.openFiles,
      indexCacheBytes: this.environment.indexes.memoryBytes,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.maintenance.close();
      if (await this.topics.close()) await this.dataDir.markClean();
    } finally {
      await this.environment.removals.close();
      this.disk.close();
      await this.environment.nullKeys.close();
      this.environment.flushes.close();
      this.environment.files.close();
      await this.dataDir.close();
    }
  }
}
