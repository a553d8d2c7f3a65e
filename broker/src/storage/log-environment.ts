import type { Native } from '@millrace/native';
import type { Logger } from 'pino';
import type { FileCache } from './file-cache.js';
import type { FlushScheduler } from './flush-scheduler.js';
import type { IndexCache } from './index-cache.js';
import type { Persistence } from './persistence/persistence.js';
import type { StorageConfig } from './storage-config.js';

/** What all logs of a broker share. */
export interface LogEnvironment {
  readonly native: Native | undefined;
  readonly persistence: Persistence;
  readonly files: FileCache;
  readonly indexes: IndexCache;
  readonly flushes: FlushScheduler;
  readonly config: StorageConfig;
  readonly logger: Logger;
  /** True when this broker gave out that producer id, or may have before it was restarted. */
  readonly isIssuedProducerId: (producerId: number) => boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What a topic decides for the logs of its partitions. */
export interface LogOptions {
  readonly segmentBytes: number;
  readonly indexIntervalBytes: number;
  readonly flushMs: number;
  readonly flushBytes: number;
}
