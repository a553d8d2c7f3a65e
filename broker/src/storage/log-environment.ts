import type { Native } from '@millrace/native';
import type { Logger } from 'pino';
import type { NullKeyFinder } from '../topics/null-keys/finder.js';
import type { FileCache } from './file-cache.js';
import type { FileRemovals } from './file-removals.js';
import type { FlushScheduler } from './flush-scheduler.js';
import type { IndexCache } from './index-cache.js';
import type { Persistence } from './persistence/persistence.js';
import type { StorageConfig } from './storage-config.js';
import type { StorageCounters } from './storage-counters.js';

/** What all logs of a broker share. */
export interface LogEnvironment {
  readonly native: Native | undefined;
  readonly persistence: Persistence;
  readonly files: FileCache;
  readonly indexes: IndexCache;
  readonly removals: FileRemovals;
  readonly flushes: FlushScheduler;
  readonly config: StorageConfig;
  readonly logger: Logger;
  /** Default: nothing is counted. */
  readonly counters?: StorageCounters;
  /** For compacted topics. Default: one without a thread. */
  readonly nullKeys?: NullKeyFinder;
  /** True when this broker gave out that producer id, or may have before it was restarted. */
  readonly isIssuedProducerId: (producerId: number) => boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What a topic decides for the logs of its partitions; {@link StorageConfig} says what each is. */
export type LogOptions = Pick<
  StorageConfig,
  | 'segmentBytes'
  | 'segmentMs'
  | 'indexIntervalBytes'
  | 'flushMs'
  | 'flushBytes'
  | 'cleanupPolicy'
  | 'retentionMs'
  | 'retentionBytes'
  | 'deleteRetentionMs'
  | 'minCompactionLagMs'
  | 'maxCompactionLagMs'
  | 'minCleanableDirtyRatio'
>;
