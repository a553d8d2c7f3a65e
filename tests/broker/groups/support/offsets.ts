import { ByteChunks, RecordBatchBuilder, RecordBatchView } from '@millrace/protocol';
import type { Logger } from 'pino';
import type { CommitRow, StoredGroup } from '../../../../broker/src/groups/group-store.js';
import { loadOffsets } from '../../../../broker/src/groups/offsets-loader.js';
import type { LoadedOffsets } from '../../../../broker/src/groups/offsets-loader.js';
import { OffsetsStore } from '../../../../broker/src/groups/offsets-store.js';
import type { OffsetsStoreServices } from '../../../../broker/src/groups/offsets-store.js';
import { OffsetTable } from '../../../../broker/src/groups/offsets-table.js';
import { OffsetsTopic } from '../../../../broker/src/groups/offsets-topic.js';
import type { Partition } from '../../../../broker/src/topics/partition.js';
import { T0 } from '../../../support/batches.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { openTestStorage, partitionOf, silentLogger } from '../../../support/storage.js';
import type { TestStorage, TestStorageOptions } from '../../../support/storage.js';
import { afterTest } from '../../support/temporary.js';

/** A topic id for tests. */
export const idOf = (topic: number): string => topic.toString(16).padStart(32, '0');

/** A commit of the given offset. */
export function rowOf(topic: number, partition: number, offset: number): CommitRow {
  return {
    ...{ topicId: idOf(topic), partition, offset },
    ...{ leaderEpoch: 0, metadata: null, commitTimeMs: T0 },
  };
}

/** A group with so many members, each with that much metadata. */
export function groupOf(groupId: string, members = 1, metadataBytes = 10): StoredGroup {
  return {
    ...{ groupId, protocolType: 'consumer', protocolName: 'range', generation: 3 },
    ...{ leaderId: 'm0', stateTimeMs: T0 },
    members: Array.from({ length: members }, (_, n) => ({
      ...{ memberId: `m${n}`, groupInstanceId: null, clientId: 'c', clientHost: 'h' },
      ...{ sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 60_000 },
      protocols: [{ name: 'range', metadata: Buffer.alloc(metadataBytes, n) }],
      assignment: Buffer.from([n]),
    })),
  };
}

/** A storage in a directory of its own, closed after the test. */
export async function offsetsStorage(
  options: TestStorageOptions & { readonly path?: string } = {},
): Promise<{ storage: TestStorage; path: string }> {
  let { path } = options;
  if (path === undefined) {
    const directory = await makeTempDir();
    afterTest(directory.remove);
    path = directory.path;
  }
  const storage = await openTestStorage(path, options);
  let open = true;
  const once = (close: () => Promise<void>) => async (): Promise<void> => {
    if (!open) return;
    open = false;
    await close();
  };
  const closing = {
    ...storage,
    close: once(() => storage.close()),
    drop: once(() => storage.drop()),
  };
  afterTest(() => closing.close().catch(() => undefined));
  return { storage: closing, path };
}

/** A store over `__offsets` of a storage, with what `services` say instead. */
export function storeOn(
  storage: TestStorage,
  services: Partial<OffsetsStoreServices> = {},
): OffsetsStore {
  return new OffsetsStore({
    topic: new OffsetsTopic(storage.topics, silentLogger),
    table: new OffsetTable(),
    topicExists: () => true,
    maxRecordsPerBatch: 100_000,
    nowMs: storage.clock.now,
    logger: silentLogger,
    ...services,
  });
}

export const offsetsPartition = (storage: TestStorage): Partition =>
  partitionOf(storage, '__offsets');

/** What a start would read. */
export function load(storage: TestStorage, logger: Logger = silentLogger): Promise<LoadedOffsets> {
  return loadOffsets(new OffsetsTopic(storage.topics, silentLogger).partition, logger);
}

/** Every offset, as `group topic-partition=offset`, sorted. */
export function offsetsIn({ table }: Pick<LoadedOffsets, 'table'>): string[] {
  return [...table.groupIds()]
    .flatMap((groupId) =>
      table.rowsOf(groupId).map(({ topicId, partition, offset }) => {
        return `${groupId} ${parseInt(topicId, 16)}-${partition}=${offset}`;
      }),
    )
    .sort();
}

/** The batches of the topic, oldest first. */
export async function batchesIn(storage: TestStorage): Promise<RecordBatchView[]> {
  const partition = offsetsPartition(storage);
  const views: RecordBatchView[] = [];
  for (let offset = partition.startOffset; offset < partition.endOffset;) {
    const region = await partition.read(offset, 1, true);
    if (region === undefined) break;
    const bytes = Buffer.alloc(region.length);
    region.file.read(bytes, region.position);
    region.release();
    const view = RecordBatchView.read(bytes, 0);
    views.push(view);
    offset = view.lastOffset + 1;
  }
  return views;
}

/** Appends records as they are, in one batch. */
export async function appendRaw(
  storage: TestStorage,
  records: readonly (readonly [key: Buffer | null, value: Buffer | null])[],
): Promise<void> {
  const builder = new RecordBatchBuilder({});
  for (const [key, value] of records) builder.append(key, value, null, T0);
  const { partition } = await new OffsetsTopic(storage.topics, silentLogger).open();
  await partition.append(new ByteChunks([builder.build()]), -1);
}
