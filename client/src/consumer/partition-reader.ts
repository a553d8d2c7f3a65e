import { BATCH_OVERHEAD_BYTES, readBatchHeader } from '@millrace/protocol';
import { BatchChain, type FetchedRow } from './batch-chain.js';
import { corrupt } from './fetched-batch.js';

/** A batch that was fetched and not yet taken; it is read and checked when it is. */
export interface PendingBatch {
  readonly reader: PartitionReader;
  readonly buffer: Buffer;
  readonly position: number;
  readonly sizeBytes: number;
  /** The first offset of it that is wanted. */
  readonly fromOffset: number;
  readonly highWatermark: number;
  /** What is wrong with its place in the log, which its checksum does not cover. */
  readonly problem?: string;
}

/** In the place of an epoch: no fetch is under way. */
const NOT_FETCHING = -1;

/** Where reading stands in one partition. */
export class PartitionReader {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** The offset to fetch next: ahead of the position by what is prefetched. */
  fetchOffset: number;
  /** What the application gets next, once it has moved on from the batch that it is in. */
  position: number;
  /** The furthest that the position ever was: what lies beyond was not given out. */
  furthest: number;
  /** Leader epoch of what is before the position; -1 = not known. */
  leaderEpoch = -1;
  /** Grows whenever the position is set to another than the one that follows: back, for example. */
  jumps = 0;
  /** The broker had nothing more, and the consumer ends there. */
  atEnd = false;
  /** The position is being put right; nothing is fetched meanwhile. */
  resetting = false;
  /** Assigned, but not to be fetched before its hook has run. */
  held = false;
  paused = false;
  /** The topic is gone; nothing more is to be had of it. */
  gone = false;
  /** It has just begun, or jumped: it does not wait for a long poll of others. */
  urgent = true;
  /** The broker has more of it, as far as the last answer tells. */
  hasMore = false;
  #epoch = 0;
  #fetchingEpoch = NOT_FETCHING;

  constructor(topic: string, topicId: string, partition: number, fetchOffset: number) {
    this.topic = topic;
    this.topicId = topicId;
    this.partition = partition;
    this.fetchOffset = fetchOffset;
    this.position = fetchOffset;
    this.furthest = fetchOffset;
  }

  /** Grows with each jump: answers to fetches of an older epoch are of no use. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Whether a fetch should be sent for it now. */
  get wantsFetch(): boolean {
    if (this.atEnd || this.resetting || this.held || this.paused || this.gone) return false;
    return this.#fetchingEpoch !== this.#epoch;
  }

  fetchStarted(): number {
    this.#fetchingEpoch = this.#epoch;
    return this.#epoch;
  }

  /** The fetch of that epoch has ended, one way or another. */
  fetchEnded(epoch: number): void {
    if (this.#fetchingEpoch === epoch) this.#fetchingEpoch = NOT_FETCHING;
  }

  /** What is under way and what is prefetched is not wanted any more. */
  abandon(): void {
    this.#epoch += 1;
  }

  /** Reading goes on at the offset; what was prefetched is for the caller to drop. */
  jump(offset: number): void {
    this.rewind(offset);
    this.setPosition(offset);
  }

  /** The position is another than the one that follows. */
  setPosition(offset: number): void {
    this.position = offset;
    this.leaderEpoch = -1;
    this.jumps += 1;
  }

  /** The application is done with what is before the offset. */
  moveOn(offset: number, leaderEpoch: number): void {
    this.position = offset;
    this.leaderEpoch = leaderEpoch;
    this.reached(offset);
  }

  /** What is before the offset was given out. */
  reached(offset: number): void {
    if (offset > this.furthest) this.furthest = offset;
  }

  /** Fetches again from the offset on; the position stays. */
  rewind(offset: number): void {
    this.abandon();
    this.fetchOffset = offset;
    this.atEnd = false;
    this.resetting = false;
    this.urgent = true;
    this.hasMore = false;
  }

  /**
   * Cuts fetched bytes into batches and moves the position behind them. A batch that is wholly
   * before the position is left out, and so is a partial one at the end. The first that cannot follow
   * those before it is the last: whoever takes it gets the error.
   *
   * @throws CorruptMessageError when the bytes bring the position no further.
   */
  cut(bytes: Buffer, row: FetchedRow): PendingBatch[] {
    const { highWatermark } = row;
    const batches: PendingBatch[] = [];
    const startOffset = this.fetchOffset;
    const chain = new BatchChain(row, startOffset);
    let position = 0;
    while (position + BATCH_OVERHEAD_BYTES <= bytes.length) {
      const header = readBatchHeader(bytes, position);
      const { sizeBytes } = header;
      const nextOffset = header.baseOffset + header.lastOffsetDelta + 1;
      const sane = sizeBytes >= BATCH_OVERHEAD_BYTES && Number.isSafeInteger(nextOffset);
      if (!sane || header.lastOffsetDelta < 0 || header.baseOffset < 0) {
        return this.#endInDamage(batches, bytes, position, highWatermark);
      }
      const problem = chain.problemOf(header);
      if (problem !== undefined) {
        return this.#endInDamage(batches, bytes, position, highWatermark, problem);
      }
      if (position + sizeBytes > bytes.length) break;
      if (nextOffset > this.fetchOffset) {
        batches.push(this.#pending(bytes, position, sizeBytes, highWatermark));
        this.fetchOffset = nextOffset;
      }
      position += sizeBytes;
    }
    if (this.fetchOffset === startOffset) {
      const { topic, partition, fetchOffset } = this;
      throw corrupt(
        { topic, partition, fromOffset: fetchOffset, highWatermark },
        fetchOffset,
        new Error(`the broker sent ${bytes.length} bytes without a batch at or after it`),
      );
    }
    return batches;
  }

  /** Lets whoever takes it find the damage, after what was whole before it. */
  #endInDamage(
    batches: PendingBatch[],
    bytes: Buffer,
    position: number,
    highWatermark: number,
    problem?: string,
  ): PendingBatch[] {
    this.atEnd = true;
    const pending = this.#pending(bytes, position, bytes.length - position, highWatermark);
    batches.push(problem === undefined ? pending : { ...pending, problem });
    return batches;
  }

  #pending(
    buffer: Buffer,
    position: number,
    sizeBytes: number,
    highWatermark: number,
  ): PendingBatch {
    const fromOffset = this.fetchOffset;
    return { reader: this, buffer, position, sizeBytes, fromOffset, highWatermark };
  }
}
