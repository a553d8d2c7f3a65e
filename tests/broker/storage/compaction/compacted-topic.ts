import { readBatches } from '@millrace/protocol';
import { Cleaner } from '../../../../broker/src/storage/compaction/cleaner.js';
import type { CleanerOptions } from '../../../../broker/src/storage/compaction/cleaner.js';
import { inlineRunner } from '../../../../broker/src/storage/compaction/runner.js';
import type { Log } from '../../../../broker/src/storage/log.js';
import type { AppendResult, Partition } from '../../../../broker/src/topics/partition.js';
import { chunksOf, drain } from '../../../support/batches.js';
import { createTopic, openTestStorage, partitionOf } from '../../../support/storage.js';
import type { TestStorage, TestStorageOptions } from '../../../support/storage.js';
import { keyedBatch, recordsOf } from './segment-files.js';
import type { KeyedBatch, StoredRecord } from './segment-files.js';

export const COMPACT: Readonly<Record<string, string>> = {
  'cleanup.policy': 'compact',
  'segment.bytes': '4096',
  'min.cleanable.dirty.ratio': '0',
};

export function logOf(partition: Partition): Log {
  const { log } = partition;
  if (log === undefined) throw new Error(`${partition.name} is not open`);
  return log;
}

export function allLogs(storage: TestStorage): Log[] {
  return storage.topics
    .list()
    .flatMap(({ partitions }) => partitions)
    .flatMap((partition) => (partition.log === undefined ? [] : [partition.log]));
}

export function cleanerFor(storage: TestStorage, options: CleanerOptions = {}): Cleaner {
  const { environment } = storage;
  return new Cleaner(() => allLogs(storage), environment, { runner: inlineRunner, ...options });
}

export async function append(partition: Partition, batch: KeyedBatch): Promise<AppendResult> {
  return partition.append(chunksOf(keyedBatch(batch)), -1);
}

/** Every visible record from `offset` on, as a consumer gets them; `maxBytes` for each read. */
export async function readFrom(
  partition: Partition,
  offset: number,
  maxBytes = 4096,
): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  let next = offset;
  for (;;) {
    const region = await partition.read(next, maxBytes, true);
    if (region === undefined) return found;
    const before = next;
    for (const batch of readBatches(drain(region))) {
      found.push(...recordsOf(batch).filter((record) => record.offset >= next));
      next = Math.max(next, batch.lastOffset + 1);
    }
    if (next === before) throw new Error(`nothing at or after ${next} in its region`);
  }
}

/** A storage with one compacted topic, that can be opened again where it lies. */
export class CompactedTopic {
  private constructor(
    readonly path: string,
    readonly options: TestStorageOptions,
    public storage: TestStorage,
    public partition: Partition,
  ) {}

  static async create(
    path: string,
    options: TestStorageOptions = {},
    config: Readonly<Record<string, string>> = {},
  ): Promise<CompactedTopic> {
    const storage = await openTestStorage(path, options);
    const partition = await createTopic(storage, { ...COMPACT, ...config });
    return new CompactedTopic(path, options, storage, partition);
  }

  /** Opens what another one left. */
  static async open(path: string, options: TestStorageOptions = {}): Promise<CompactedTopic> {
    const storage = await openTestStorage(path, options);
    return new CompactedTopic(path, options, storage, partitionOf(storage));
  }

  get log(): Log {
    return logOf(this.partition);
  }

  async append(...batches: readonly KeyedBatch[]): Promise<void> {
    for (const batch of batches) await append(this.partition, batch);
  }

  /** Seals what there is, and compacts it. */
  async compact(options: CleanerOptions = {}): Promise<void> {
    await this.log.seal();
    const cleaner = cleanerFor(this.storage, options);
    await cleaner.tick();
    await cleaner.close();
  }

  read(offset = 0, maxBytes?: number): Promise<StoredRecord[]> {
    return readFrom(this.partition, offset, maxBytes);
  }

  /** Opens it again after a clean stop. */
  async restart(): Promise<void> {
    await this.storage.close();
    this.storage = await openTestStorage(this.path, this.options);
    this.partition = partitionOf(this.storage);
  }
}
