import { ByteChunks, ProtocolError } from '@millrace/protocol';
import type { PartitionKey } from '@millrace/protocol';
import type { Logger } from 'pino';
import { storageFailure } from '../storage/errors.js';
import type { CommitRow, CommittedOffset, GroupStore } from './group-store.js';
import type { OffsetGroupsWatcher, StoredGroup } from './group-store.js';
import { fitsAlone, packBatches, recordBytes } from './offsets-batches.js';
import type { BatchBounds } from './offsets-batches.js';
import { encodeGroupKey, encodeGroupValue } from './offsets-codec.js';
import type { OffsetTable } from './offsets-table.js';
import type { OffsetsTopic } from './offsets-topic.js';
import { commitRecord, OffsetWrite, removalRecord } from './offsets-write.js';
import type { OffsetChange, OffsetsChangeRecord, PendingRecord } from './offsets-write.js';

/** Records that wait for their append, of all groups together; more are refused. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
/** Offsets of a deleted topic that are removed from the log at a time. */
const REMOVALS_AT_A_TIME = 10_000;

export interface OffsetsStoreServices {
  readonly topic: Pick<OffsetsTopic, 'open'>;
  /** What is committed so far; the store changes it from now on. */
  readonly table: OffsetTable;
  /** Why stored offsets are not known: all that needs them is refused with this. */
  readonly problem?: ProtocolError | undefined;
  /** Offsets of other topics are not kept. */
  readonly topicExists: (topicId: string) => boolean;
  readonly maxRecordsPerBatch: number;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

/**
 * Committed offsets and the state of groups, durable in `__offsets`. Changes of one turn of the event
 * loop, and those that come while others are being appended, share batches and so one sync. What is in
 * memory follows the log: it changes batch by batch, in their order, once each is as durable as
 * `acks=all`. A batch that cannot be appended fails exactly those whose records are in it.
 */
export class OffsetsStore implements GroupStore {
  readonly #services: OffsetsStoreServices;
  readonly #table: OffsetTable;
  #queue: OffsetWrite[] = [];
  #queuedBytes = 0;
  /** The appends under way; undefined when nothing waits. */
  #running: Promise<void> | undefined;
  #closing = false;
  #watcher: OffsetGroupsWatcher | undefined;

  constructor(services: OffsetsStoreServices) {
    this.#services = services;
    this.#table = services.table;
  }

  async storeGroup(group: StoredGroup): Promise<void> {
    const { groupId } = group;
    await this.#write(groupId, [{ key: encodeGroupKey(groupId), value: encodeGroupValue(group) }]);
  }

  /** All rows or none; only a commit that is too large for one batch may be stored in part. */
  async commit(groupId: string, rows: readonly CommitRow[]): Promise<void> {
    const records = rows.map(({ topicId, partition, ...committed }) =>
      commitRecord(groupId, topicId, partition, committed),
    );
    await this.#write(groupId, records);
  }

  async deleteGroup(groupId: string): Promise<void> {
    await this.#write(groupId, () => [
      ...this.#table.rowsOf(groupId).map((row) => removalRecord({ groupId, ...row })),
      { key: encodeGroupKey(groupId), value: null },
    ]);
  }

  async deleteOffsets(groupId: string, keys: readonly PartitionKey[]): Promise<void> {
    await this.#write(
      groupId,
      keys.map((key) => removalRecord({ groupId, ...key })),
    );
  }

  /**
   * Removes all offsets of a topic that is gone: from memory at once, for nobody can commit to it any
   * more, then from the log. Never rejects: what fails is done by the next start.
   */
  async forgetTopic(topicId: string): Promise<void> {
    const keys = this.#table.keysOfTopic(topicId);
    for (const key of keys) this.#apply({ ...key, committed: undefined });
    try {
      for (let at = 0; at < keys.length; at += REMOVALS_AT_A_TIME) {
        const some = keys.slice(at, at + REMOVALS_AT_A_TIME);
        await this.#write('', some.map(removalRecord));
      }
    } catch (error) {
      this.#services.logger.warn(
        { err: error, topicId, offsets: keys.length },
        'offsets of a deleted topic stay in the log; the next start removes them',
      );
    }
  }

  get problem(): ProtocolError | undefined {
    return this.#services.problem;
  }

  committed(groupId: string, topicId: string, partition: number): CommittedOffset | undefined {
    this.#refuseUnknown();
    return this.#table.get(groupId, topicId, partition);
  }

  allCommitted(groupId: string): readonly CommitRow[] {
    this.#refuseUnknown();
    return this.#table.rowsOf(groupId);
  }

  hasOffsets(groupId: string): boolean {
    return this.#table.hasGroup(groupId);
  }

  groupIds(): Iterable<string> {
    return this.#table.groupIds();
  }

  watchGroups(watcher: OffsetGroupsWatcher): void {
    this.#watcher = watcher;
  }

  /** Refuses new changes; resolves when those under way are done. Idempotent. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#running;
  }

  #refuseUnknown(): void {
    if (this.#services.problem !== undefined) throw this.#services.problem;
  }

  async #write(
    groupId: string,
    records: readonly OffsetsChangeRecord[] | (() => OffsetsChangeRecord[]),
  ): Promise<void> {
    this.#refuseUnknown();
    if (this.#closing) throw new ProtocolError('SHUTTING_DOWN', 'the broker is stopping');
    if (records.length === 0 && typeof records !== 'function') return;
    let bytes = 0;
    if (typeof records !== 'function') for (const record of records) bytes += recordBytes(record);
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > MAX_QUEUED_BYTES) {
      throw new ProtocolError(
        'OVERLOADED',
        `${this.#queuedBytes} bytes of offsets wait to be stored already; try again later`,
      );
    }
    const write = new OffsetWrite(groupId, records, bytes);
    this.#queuedBytes += bytes;
    this.#queue.push(write);
    this.#running ??= this.#run();
    await write.done;
  }

  /** Appends until nothing waits; never rejects. */
  async #run(): Promise<void> {
    // What else comes in this turn of the event loop goes into the same batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const round = this.#takeRound();
      try {
        await this.#store(round);
      } catch (error) {
        const failure = storageFailure('store offsets', error);
        for (const write of round) write.fail(failure);
      }
      for (const write of round) {
        this.#queuedBytes -= write.bytes;
        write.settle();
      }
    }
    this.#running = undefined;
  }

  /**
   * What is appended next. A change that depends on what is in memory of its group waits for the next
   * round when this one changes that.
   */
  #takeRound(): OffsetWrite[] {
    const changed = new Set<string>();
    let count = 0;
    for (const { dependsOnMemory, groupId } of this.#queue) {
      if (dependsOnMemory && changed.has(groupId)) break;
      changed.add(groupId);
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #store(round: readonly OffsetWrite[]): Promise<void> {
    const { maxRecordsPerBatch, nowMs, topic } = this.#services;
    const { partition, maxBatchBytes } = await topic.open();
    const bounds = { maxBatchBytes, maxRecordsPerBatch };
    const lists = round.map((write) => storable(write, bounds));
    const batches = packBatches(lists, bounds, nowMs());
    // All are begun before any is waited for: they take effect in this order, and share a sync.
    const appends = batches.map(({ bytes }) => partition.append(new ByteChunks([bytes]), -1));
    for (const append of appends) append.catch(() => undefined);
    for (const [index, { items }] of batches.entries()) {
      try {
        await appends[index];
        for (const { change } of items) if (change !== undefined) this.#apply(change);
      } catch (error) {
        const failure = storageFailure('store offsets', error);
        for (const { write } of items) write.fail(failure);
      }
    }
  }

  #apply({ groupId, topicId, partition, committed }: OffsetChange): void {
    const table = this.#table;
    const had = table.hasGroup(groupId);
    if (committed === undefined) table.delete(groupId, topicId, partition);
    else if (this.#services.topicExists(topicId)) {
      table.set(groupId, topicId, partition, committed);
    }
    const has = table.hasGroup(groupId);
    if (has && !had) this.#watcher?.appeared(groupId);
    else if (had && !has) this.#watcher?.disappeared(groupId);
  }
}

/** The records of a write; none when one of them fits into no batch, and then the write has failed. */
function storable(write: OffsetWrite, bounds: BatchBounds): PendingRecord[] {
  const records = write.records();
  const tooLarge = records.find((record) => !fitsAlone(record, bounds));
  if (tooLarge === undefined) return records;
  const failure = new ProtocolError(
    'MESSAGE_TOO_LARGE',
    `group ${write.groupId}: a record of ${recordBytes(tooLarge)} bytes is more than the ` +
      `${bounds.maxBatchBytes} that __offsets takes; have fewer members, or fewer partitions each`,
  );
  write.fail(failure);
  return [];
}
