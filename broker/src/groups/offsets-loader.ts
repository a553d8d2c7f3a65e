import { ProtocolError, RecordBatchView } from '@millrace/protocol';
import type { Logger } from 'pino';
import { nextTurn } from '../storage/warm-up.js';
import { OFFSETS_TOPIC } from '../topics/internal-topics.js';
import type { StoredGroup } from './group-store.js';
import { nextSoundBatch, nextSoundOffset, OffsetsReader } from './offsets-reader.js';
import type { ReadablePartition } from './offsets-reader.js';
import { OffsetsRecord } from './offsets-record.js';
import { OffsetTable } from './offsets-table.js';
import { messageOf } from '../message-of.js';

/** What is read, and looked through, in one turn of the event loop. */
const CHUNK_BYTES = 1024 * 1024;
/** A load that takes longer says how far it is. */
const PROGRESS_INTERVAL_MS = 2_000;

/** What `__offsets` says. */
export interface LoadedOffsets {
  readonly table: OffsetTable;
  readonly groups: ReadonlyMap<string, StoredGroup>;
  /** Records that were read. */
  readonly records: number;
  /** Records that make no sense. */
  readonly skippedRecords: number;
  /** Damaged stretches of the log: batches, and what lies between two that can be read. */
  readonly skippedBatches: number;
  /** The first of both. */
  readonly firstSkipped: { readonly offset: number; readonly reason: string } | undefined;
  /** Why nothing could be read at all. */
  readonly problem: ProtocolError | undefined;
}

/**
 * Reads all of `__offsets`: the last record of each key counts. Whatever cannot be read is skipped and
 * counted, and one line says so: what somebody wrote by hand must not keep a broker from starting.
 * A partition that is offline is another matter: then it is not known what was committed.
 */
export async function loadOffsets(
  partition: ReadablePartition | undefined,
  logger: Logger,
): Promise<LoadedOffsets> {
  const loader = new OffsetsLoader(partition, logger);
  await loader.run();
  return loader;
}

class OffsetsLoader implements LoadedOffsets {
  readonly table = new OffsetTable();
  readonly groups = new Map<string, StoredGroup>();
  records = 0;
  skippedRecords = 0;
  skippedBatches = 0;
  firstSkipped: LoadedOffsets['firstSkipped'];
  problem: ProtocolError | undefined;
  readonly #record = new OffsetsRecord();
  readonly #reader = new OffsetsReader();
  /** What is read next. */
  #offset = 0;

  constructor(
    private readonly partition: ReadablePartition | undefined,
    private readonly logger: Logger,
  ) {}

  async run(): Promise<void> {
    const { logger, partition } = this;
    if (partition === undefined) return;
    if (partition.log === undefined) {
      this.problem = partition.problem ?? new ProtocolError('PARTITION_OFFLINE');
      logger.error(
        { err: this.problem },
        `${OFFSETS_TOPIC} cannot be read: committed offsets are refused until it can`,
      );
      return;
    }
    const startedMs = performance.now();
    await this.#walk(partition, startedMs);
    const durationMs = Math.round(performance.now() - startedMs);
    const { groups, records, table } = this;
    const what = { records, offsets: table.size, groups: groups.size, durationMs };
    logger.info(what, 'committed offsets loaded');
    this.#warnOfSkipped();
  }

  async #walk(partition: ReadablePartition, startedMs: number): Promise<void> {
    let saidMs = startedMs;
    this.#offset = partition.startOffset;
    while (this.#offset < partition.endOffset && (await this.#takeChunk(partition))) {
      await nextTurn();
      const nowMs = performance.now();
      if (nowMs - saidMs < PROGRESS_INTERVAL_MS) continue;
      saidMs = nowMs;
      const { endOffset } = partition;
      this.logger.info({ offset: this.#offset, endOffset }, 'loading committed offsets');
    }
  }

  /**
   * Reads a chunk from the current offset on and moves the offset behind it. Offsets are only believed
   * of batches whose checksum is right: where there is none, the next such batch is looked for.
   */
  async #takeChunk(partition: ReadablePartition): Promise<boolean> {
    try {
      const bytes = await this.#reader.read(partition, this.#offset, CHUNK_BYTES);
      if (bytes === undefined) return false;
      if (this.#takeBatches(bytes, partition.endOffset)) return true;
    } catch (error) {
      this.#skipBatch(this.#offset, messageOf(error));
    }
    const next = await nextSoundOffset(this.#reader, partition, this.#offset);
    if (next !== undefined) this.#offset = next;
    return next !== undefined;
  }

  /** Reads whole batches. False when the last of them is damaged, and the offset stands before it. */
  #takeBatches(bytes: Buffer, endOffset: number): boolean {
    let sound = bytes.length > 0;
    for (let position = 0; position < bytes.length;) {
      let batch: RecordBatchView | undefined;
      let problem = 'its offsets do not follow those before';
      try {
        batch = RecordBatchView.read(bytes, position);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        problem = error.message;
      }
      sound =
        batch !== undefined && batch.lastOffset >= this.#offset && batch.lastOffset < endOffset;
      if (batch !== undefined && sound) {
        this.#offset = batch.lastOffset + 1;
        if (!batch.isControl) this.#takeRecords(batch);
      } else this.#skipBatch(this.#offset, problem);
      const next =
        sound && batch !== undefined
          ? position + batch.header.sizeBytes
          : nextSoundBatch(bytes, position);
      if (next === undefined) return false;
      position = next;
    }
    return sound;
  }

  #takeRecords(batch: RecordBatchView): void {
    const record = this.#record;
    try {
      const cursor = batch.cursor();
      while (cursor.next()) {
        this.records += 1;
        const { bytes, keyStart, keyLength, valueStart, valueLength } = cursor;
        const problem = record.read(bytes, keyStart, keyLength, valueStart, valueLength);
        if (problem === undefined) this.#apply(record);
        else {
          this.skippedRecords += 1;
          this.firstSkipped ??= { offset: cursor.offset, reason: problem };
        }
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#skipBatch(batch.baseOffset, error.message);
    }
  }

  #apply(record: OffsetsRecord): void {
    const { group, groupId, kind, partition, tombstone, topicId } = record;
    if (kind === 'commit') {
      if (tombstone) this.table.delete(groupId, topicId, partition);
      else this.table.set(groupId, topicId, partition, record);
    } else if (group === undefined) this.groups.delete(groupId);
    else this.groups.set(groupId, group);
  }

  #skipBatch(offset: number, reason: string): void {
    this.skippedBatches += 1;
    this.firstSkipped ??= { offset, reason };
  }

  #warnOfSkipped(): void {
    const { firstSkipped, skippedBatches, skippedRecords } = this;
    if (firstSkipped === undefined) return;
    this.logger.warn(
      { skippedRecords, skippedBatches, offset: firstSkipped.offset },
      `${OFFSETS_TOPIC} holds what this broker cannot read, and skips; first at offset ` +
        `${firstSkipped.offset}: ${firstSkipped.reason}`,
    );
  }
}
