import { stampBatch } from '@millrace/protocol';
import type { BatchHeader, ByteChunks, ProtocolError } from '@millrace/protocol';
import { ActiveSegment } from './active-segment.js';
import { isPassing, storageFailure } from './errors.js';
import type { FileRegion } from './file-region.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import { ensureLogDirectory } from './log-files.js';
import { findTimestamp, outOfRange, readRegion } from './log-reader.js';
import type { LogView, TimestampedOffset, VisibleEnd } from './log-reader.js';
import type { LogState } from './log-state.js';
import { LogSync } from './log-sync.js';
import type { LogTail } from './log-sync.js';
import { OffsetCeiling } from './offset-ceiling.js';
import type { ProducerStates } from './producer-states.js';
import { Segment } from './segment.js';

/** Index entries hold offsets relative to their segment in 32 bits. */
const MAX_OFFSETS_PER_SEGMENT = 2 ** 32 - 1;

export interface AppendedAt {
  readonly baseOffset: number;
  /** Where the log ends behind the batch, for {@link Log.waitForSync}. */
  readonly endLsn: number;
}

/**
 * A partition's log: segments in order of offset, the last of them appended to. It assigns offsets and
 * keeps the offset ceiling ahead of the end; {@link LogSync} makes durable what is appended.
 *
 * Appending is synchronous while {@link canAppend} holds; {@link prepare} makes it hold.
 */
export class Log {
  readonly #sync: LogSync;
  readonly #ceiling: OffsetCeiling;
  readonly #state: LogState;
  #segments: readonly Segment[];
  #active: ActiveSegment | undefined;
  /** Of all segments together. */
  #sizeBytes: number;
  /** The offset after the last record. */
  #dataEndOffset: number;
  /** The offset that the next record gets: beyond `dataEndOffset` after an unclean stop. */
  #nextOffset: number;

  constructor(
    /** For messages: `topic-partition`. */
    readonly name: string,
    readonly directory: string,
    state: LogState,
    private readonly environment: LogEnvironment,
    private readonly options: LogOptions,
    /** Called when more became durable, and when the log failed. */
    onChange: () => void,
  ) {
    const { checkpoint, nextOffset } = state;
    this.#state = state;
    this.#segments = state.segments;
    this.#sizeBytes = state.segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
    this.#dataEndOffset = state.dataEndOffset;
    this.#nextOffset = nextOffset;
    const block = environment.config.offsetCeilingBlock;
    this.#ceiling = new OffsetCeiling(checkpoint, block, nextOffset);
    const tail = (): LogTail => this.#tail();
    this.#sync = new LogSync({ name, directory, state, tail, onChange }, environment, options);
  }

  get producers(): ProducerStates {
    return this.#state.producers;
  }

  get startOffset(): number {
    return this.#state.startOffset;
  }

  get nextOffset(): number {
    return this.#nextOffset;
  }

  get leaderEpoch(): number {
    return this.#state.leaderEpoch;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  /** Why the log takes no more appends. */
  get failure(): ProtocolError | undefined {
    return this.#sync.failure;
  }

  /** The offset up to which readers are served. */
  get highWatermark(): number {
    const appended = this.environment.config.visibility === 'appended';
    return appended ? this.#nextOffset : this.#sync.durableOffset;
  }

  /** True when {@link append} of that many records works at once. */
  canAppend(recordCount: number): boolean {
    return (
      this.#active !== undefined &&
      this.failure === undefined &&
      this.#ceiling.covers(this.#nextOffset + recordCount)
    );
  }

  /**
   * Makes the log ready for `recordCount` more records: reserves offsets durably, opens or makes the
   * segment to append to.
   * @throws ProtocolError DISK_FULL, STORAGE_ERROR, or what the log failed of
   */
  async prepare(recordCount: number): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    try {
      if (this.#active === undefined) await ensureLogDirectory(this.directory);
      await this.#beginEpochAfterGap();
      if (!this.#ceiling.covers(this.#nextOffset + recordCount)) {
        await this.#ceiling.reserve(this.#nextOffset, recordCount, this.leaderEpoch);
      }
      this.#active ??= await this.#openActive();
      this.#sync.opened();
    } catch (error) {
      throw this.#appendFailure(error);
    }
  }

  /**
   * Assigns offsets to one checked batch and appends it.
   * @throws ProtocolError DISK_FULL or STORAGE_ERROR, and then nothing was appended.
   */
  append(bytes: ByteChunks, batch: BatchHeader): AppendedAt {
    const baseOffset = this.#nextOffset;
    try {
      const active = this.#activeFor(bytes.length, batch.recordCount);
      stampBatch(bytes, 0, baseOffset, this.leaderEpoch);
      active.append(bytes, batch, baseOffset);
    } catch (error) {
      throw this.#appendFailure(error);
    }
    const nowMs = this.environment.now();
    const endLsn = this.#sync.appendedLsn + bytes.length;
    this.#nextOffset += batch.recordCount;
    this.#dataEndOffset = this.#nextOffset;
    this.#sizeBytes += bytes.length;
    this.producers.record(batch, baseOffset, endLsn, nowMs);
    this.#sync.appended(bytes.length, nowMs);
    this.#ceiling.reserveAhead(this.#nextOffset, this.leaderEpoch, (error) =>
      this.#sync.reservationEnded(error),
    );
    return { baseOffset, endLsn };
  }

  /** Resolves when the log is on the device up to `lsn`. */
  waitForSync(lsn: number): Promise<void> {
    return this.#sync.waitFor(lsn);
  }

  /**
   * See {@link readRegion}.
   * @throws ProtocolError OFFSET_OUT_OF_RANGE, CORRUPT_LOG, STORAGE_ERROR
   */
  async read(
    offset: number,
    maxBytes: number,
    atLeastOne: boolean,
  ): Promise<FileRegion | undefined> {
    if (offset < this.startOffset || offset > this.#nextOffset) {
      throw outOfRange(this.name, offset, this.startOffset, this.#nextOffset);
    }
    try {
      return await readRegion(this.#view(), offset, maxBytes, atLeastOne);
    } catch (error) {
      throw storageFailure(`read of ${this.name} at offset ${offset}`, error);
    }
  }

  /**
   * See {@link findTimestamp}.
   * @throws ProtocolError CORRUPT_LOG, STORAGE_ERROR
   */
  async offsetForTimestamp(timestampMs: number): Promise<TimestampedOffset | undefined> {
    try {
      return await findTimestamp(this.#view(), timestampMs);
    } catch (error) {
      throw storageFailure(`search of ${this.name} for time ${timestampMs}`, error);
    }
  }

  /**
   * Syncs everything, checkpoints it, trims and closes: the clean end. A failed log just lets go.
   * @throws ProtocolError when it could not.
   */
  async close(): Promise<void> {
    try {
      if (await this.#sync.settle()) this.#active = undefined;
    } catch (error) {
      if (!isPassing(error)) this.#sync.fail('close of', error);
      throw this.failure ?? storageFailure(`close of ${this.name}`, error);
    } finally {
      await this.#letGo();
    }
  }

  /** Lets go of everything without writing: the topic was deleted. Waiters get `reason`. */
  async abandon(reason: ProtocolError): Promise<void> {
    await this.#sync.abandon(reason);
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    await this.#sync.letGo();
    await this.#state.checkpoint.idle();
    this.#active?.abandon();
    this.#active = undefined;
    for (const segment of this.#segments) segment.forget();
  }

  /** After an unclean stop the log goes on beyond every offset that may have been seen. */
  async #beginEpochAfterGap(): Promise<void> {
    const { epochs } = this.#state;
    if (this.#nextOffset === this.#dataEndOffset || this.#active !== undefined) return;
    if (epochs.latest?.startOffset === this.#nextOffset) return;
    await epochs.begin({
      epoch: this.leaderEpoch,
      startOffset: this.#nextOffset,
      previousEndOffset: this.#dataEndOffset,
    });
  }

  async #openActive(): Promise<ActiveSegment> {
    const { environment, options } = this;
    const last = this.#segments.at(-1);
    // An empty segment is there when the first append after a gap failed.
    const goOn =
      last !== undefined &&
      (this.#nextOffset === this.#dataEndOffset || this.#nextOffset === last.baseOffset);
    return goOn && last.sizeBytes < options.segmentBytes
      ? ActiveSegment.reopen(last, options.segmentBytes, environment, options)
      : this.#createSegment();
  }

  #createSegment(): ActiveSegment {
    const { directory, environment, options } = this;
    const { segmentBytes, indexIntervalBytes } = options;
    const segment = new Segment(directory, this.#nextOffset, 0, environment, indexIntervalBytes);
    const active = ActiveSegment.create(segment, segmentBytes, environment, options);
    this.#segments = [...this.#segments, segment];
    return active;
  }

  /** The segment for a batch of that size: the active one, or a new one when it is full. */
  #activeFor(bytes: number, recordCount: number): ActiveSegment {
    const active = this.#active;
    if (active === undefined) throw new Error(`${this.name}: append before prepare`);
    const offsets = this.#nextOffset + recordCount - active.segment.baseOffset;
    if (active.fits(bytes) && offsets <= MAX_OFFSETS_PER_SEGMENT) return active;
    this.#active = this.#createSegment();
    this.#sync.seal(active, this.#nextOffset);
    return this.#active;
  }

  #appendFailure(error: unknown): ProtocolError {
    if (!isPassing(error)) this.#sync.fail('append to', error);
    return storageFailure(`append to ${this.name}`, error);
  }

  #appendedEnd(): VisibleEnd | undefined {
    const segment = this.#segments.at(-1);
    if (segment === undefined) return undefined;
    return { segment, position: segment.sizeBytes, offset: this.#dataEndOffset };
  }

  #tail(): LogTail {
    return { active: this.#active, end: this.#appendedEnd(), nextOffset: this.#nextOffset };
  }

  #view(): LogView {
    const appended = this.environment.config.visibility === 'appended';
    return {
      segments: this.#segments,
      end: appended ? this.#appendedEnd() : this.#sync.durableEnd,
      epochs: this.#state.epochs,
    };
  }
}
