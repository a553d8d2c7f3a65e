import { stampBatch } from '@millrace/protocol';
import type { BatchHeader, ByteChunks, ProtocolError } from '@millrace/protocol';
import { ActiveSegment } from './active-segment.js';
import { syncDirectory } from './atomic-file.js';
import { Checkpointer } from './checkpointer.js';
import type { CheckpointImage } from './checkpointer.js';
import { isPassing, storageFailure } from './errors.js';
import type { FileRegion } from './file-region.js';
import { Flusher } from './flusher.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import { ensureLogDirectory } from './log-files.js';
import { findTimestamp, outOfRange, readRegion } from './log-reader.js';
import type { LogView, TimestampedOffset, VisibleEnd } from './log-reader.js';
import type { LogState } from './log-state.js';
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
 * A partition's log: segments in order of offset, the last of them appended to. It assigns offsets,
 * syncs, keeps the checkpoint behind the syncs and the offset ceiling ahead of the end.
 *
 * Appending is synchronous while {@link canAppend} holds; {@link prepare} makes it hold.
 */
export class Log {
  readonly #flusher = new Flusher(() => this.#sync());
  readonly #checkpointer: Checkpointer;
  readonly #ceiling: OffsetCeiling;
  readonly #state: LogState;
  #segments: readonly Segment[];
  #active: ActiveSegment | undefined;
  /** Sealed segments whose last sync is still due. */
  #sealed: readonly ActiveSegment[] = [];
  /** The offset after the last record. */
  #dataEndOffset: number;
  /** The offset that the next record gets: beyond `dataEndOffset` after an unclean stop. */
  #nextOffset: number;
  /** Bytes appended since the log was opened. */
  #appendedLsn = 0;
  #unsyncedSinceMs = 0;
  #durableEnd: VisibleEnd | undefined;
  /** `nextOffset` as of the last sync. */
  #durableOffset: number;
  #failure: ProtocolError | undefined;

  constructor(
    /** For messages: `topic-partition`. */
    readonly name: string,
    readonly directory: string,
    state: LogState,
    private readonly environment: LogEnvironment,
    private readonly options: LogOptions,
    /** Called when more became durable, and when the log failed. */
    private readonly onChange: () => void,
  ) {
    const { checkpoint, nextOffset } = state;
    this.#state = state;
    this.#segments = state.segments;
    this.#dataEndOffset = state.dataEndOffset;
    this.#nextOffset = nextOffset;
    this.#checkpointer = new Checkpointer(name, directory, checkpoint, environment);
    const block = environment.config.offsetCeilingBlock;
    this.#ceiling = new OffsetCeiling(checkpoint, block, nextOffset);
    this.#durableEnd = this.#appendedEnd();
    this.#durableOffset = nextOffset;
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
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  /** Why the log takes no more appends. */
  get failure(): ProtocolError | undefined {
    return this.#failure;
  }

  /** The offset up to which readers are served. */
  get highWatermark(): number {
    const appended = this.environment.config.visibility === 'appended';
    return appended ? this.#nextOffset : this.#durableOffset;
  }

  /** True when {@link append} of that many records works at once. */
  canAppend(recordCount: number): boolean {
    return (
      this.#active !== undefined &&
      this.#failure === undefined &&
      this.#ceiling.covers(this.#nextOffset + recordCount)
    );
  }

  /**
   * Makes the log ready for `recordCount` more records: reserves offsets durably, opens or makes the
   * segment to append to.
   * @throws ProtocolError DISK_FULL, STORAGE_ERROR, or what the log failed of
   */
  async prepare(recordCount: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      if (this.#active === undefined) await ensureLogDirectory(this.directory);
      await this.#beginEpochAfterGap();
      if (!this.#ceiling.covers(this.#nextOffset + recordCount)) {
        await this.#ceiling.reserve(this.#nextOffset, recordCount, this.leaderEpoch);
      }
      this.#active ??= await this.#openActive();
      this.#durableEnd ??= this.#appendedEnd();
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
    if (this.#flusher.syncedLsn === this.#appendedLsn) this.#becomeDirty(nowMs);
    this.#nextOffset += batch.recordCount;
    this.#dataEndOffset = this.#nextOffset;
    this.#appendedLsn += bytes.length;
    this.producers.record(batch, baseOffset, this.#appendedLsn, nowMs);
    if (this.#appendedLsn - this.#flusher.syncedLsn >= this.options.flushBytes) {
      this.#flusher.start();
    }
    this.#ceiling.reserveAhead(this.#nextOffset, this.leaderEpoch, this.#failUnlessPassing);
    return { baseOffset, endLsn: this.#appendedLsn };
  }

  /** Resolves when the log is on the device up to `lsn`. */
  waitForSync(lsn: number): Promise<void> {
    return this.#flusher.waitFor(lsn);
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

  /** Starts the syncs and checkpoints that are due; false when there is nothing left to do. */
  tick(nowMs: number): boolean {
    if (this.#failure !== undefined) return false;
    const unsynced = this.#appendedLsn > this.#flusher.syncedLsn;
    if (unsynced && nowMs - this.#unsyncedSinceMs >= this.options.flushMs) this.#flusher.start();
    if (!unsynced && this.#checkpointer.isDue(this.#appendedLsn, nowMs)) {
      const image = this.#image();
      if (image !== undefined) this.#checkpointer.start(image, this.#failUnlessPassing);
    }
    return unsynced || this.#checkpointer.isBehind(this.#appendedLsn);
  }

  /**
   * Syncs everything, checkpoints it, trims and closes: the clean end. A failed log just lets go.
   * @throws ProtocolError when it could not: {@link failure} then says so too.
   */
  async close(): Promise<void> {
    this.environment.flushes.remove(this);
    try {
      await this.#settle();
    } catch (error) {
      this.#fail(error);
      throw this.#failure ?? error;
    } finally {
      await this.#letGo();
    }
  }

  async #settle(): Promise<void> {
    if (this.#active !== undefined && this.#failure === undefined) {
      this.#flusher.start();
      await this.#flusher.idle();
    }
    await this.#checkpointer.idle();
    const image = this.#image();
    if (image !== undefined && this.#failure === undefined) {
      await this.#checkpointer.write(image, { ceiling: this.#nextOffset });
      await image.active.finish();
      this.#active = undefined;
    }
  }

  /** Lets go of everything without writing: the topic was deleted. Waiters get `reason`. */
  async abandon(reason: ProtocolError): Promise<void> {
    this.environment.flushes.remove(this);
    this.#failure ??= reason;
    this.#flusher.fail(reason);
    this.#checkpointer.stop();
    await this.#flusher.idle();
    await this.#checkpointer.idle();
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    await this.#state.checkpoint.idle();
    for (const active of this.#sealed) active.abandon();
    this.#active?.abandon();
    this.#sealed = [];
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
    const next = this.#createSegment();
    this.#sealed = [...this.#sealed, active];
    this.#active = next;
    this.#flusher.start();
    return next;
  }

  #becomeDirty(nowMs: number): void {
    this.#unsyncedSinceMs = nowMs;
    this.environment.flushes.add(this);
  }

  /** Makes everything appended so far durable, and lets sealed segments go. */
  async #sync(): Promise<number> {
    const lsn = this.#appendedLsn;
    const nowMs = this.environment.now();
    const image = this.#checkpointer.isDue(lsn, nowMs) ? this.#image() : undefined;
    const end = this.#appendedEnd();
    const nextOffset = this.#nextOffset;
    const active = this.#active;
    try {
      for (const sealed of this.#sealed) await this.#syncLastTime(sealed);
      if (active !== undefined) await this.#syncSegment(active, end?.position ?? 0);
    } catch (error) {
      this.#fail(error);
      throw this.#failure ?? error;
    }
    this.#durableEnd = end;
    this.#durableOffset = nextOffset;
    this.#unsyncedSinceMs = nowMs;
    if (image !== undefined && this.#failure === undefined) {
      this.#checkpointer.start(image, this.#failUnlessPassing);
    }
    this.onChange();
    return lsn;
  }

  async #syncSegment(active: ActiveSegment, end: number): Promise<void> {
    await active.syncTo(end);
    if (!active.nameUnsynced) return;
    await syncDirectory(this.directory);
    active.nameUnsynced = false;
  }

  async #syncLastTime(sealed: ActiveSegment): Promise<void> {
    await this.#syncSegment(sealed, sealed.segment.sizeBytes);
    await this.#checkpointer.besides('write the index', sealed.writeIndex());
    if (this.#failure !== undefined) return;
    await sealed.finish();
    this.#sealed = this.#sealed.filter((other) => other !== sealed);
  }

  #image(): CheckpointImage | undefined {
    const active = this.#active;
    if (active === undefined) return undefined;
    return {
      lsn: this.#appendedLsn,
      active,
      position: active.segment.sizeBytes,
      endOffset: this.#dataEndOffset,
      leaderEpoch: this.leaderEpoch,
      startOffset: this.startOffset,
      producers: this.producers.encode(),
    };
  }

  /** A failed sync is final: nothing is acknowledged on top, and a restart distrusts the tail. */
  readonly #fail = (error: unknown): void => {
    if (this.#failure !== undefined) return;
    const { logger } = this.environment;
    this.#failure = storageFailure(`sync of ${this.name} (${this.directory})`, error, 'final');
    logger.error({ err: error, log: this.name }, this.#failure.message);
    this.#flusher.fail(this.#failure);
    this.#checkpointer.stop();
    this.#distrustTail().catch((cause: unknown) => {
      logger.error({ err: cause, log: this.name }, 'could not mark the tail as not to be trusted');
    });
    this.onChange();
  };

  /** What was synced since the last checkpoint may have been acknowledged: it is no part of the tail. */
  #distrustTail(): Promise<void> {
    const end = this.#durableEnd;
    const synced = end !== undefined && {
      segmentBase: end.segment.baseOffset,
      position: end.position,
      endOffset: end.offset,
    };
    return this.#state.checkpoint.update({ ...synced, tailDistrusted: true });
  }

  /** For work in the background that is done again when it is due again. */
  readonly #failUnlessPassing = (error: unknown): void => {
    if (!isPassing(error)) this.#fail(error);
    else this.environment.logger.warn({ err: error, log: this.name }, 'will be tried again');
  };

  #appendFailure(error: unknown): ProtocolError {
    if (!isPassing(error)) this.#fail(error);
    return storageFailure(`append to ${this.name}`, error);
  }

  #appendedEnd(): VisibleEnd | undefined {
    const segment = this.#segments.at(-1);
    if (segment === undefined) return undefined;
    return { segment, position: segment.sizeBytes, offset: this.#dataEndOffset };
  }

  #view(): LogView {
    const appended = this.environment.config.visibility === 'appended';
    return {
      segments: this.#segments,
      end: appended ? this.#appendedEnd() : this.#durableEnd,
      epochs: this.#state.epochs,
    };
  }
}
