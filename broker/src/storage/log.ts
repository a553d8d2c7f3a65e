import { stampBatch } from '@millrace/protocol';
import type { BatchHeader, ByteChunks, ProtocolError } from '@millrace/protocol';
import { ActiveSegment } from './active-segment.js';
import type { ListedSegment } from './compaction/listed-segments.js';
import { isPassing, SegmentGoneError, storageFailure } from './errors.js';
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
import { SegmentList } from './segment-list.js';
import type { SegmentSwap } from './segment-list.js';
import { Segment } from './segment.js';

/** Index entries hold offsets relative to their segment in 32 bits. */
const MAX_OFFSETS_PER_SEGMENT = 2 ** 32 - 1;

/** How often a read starts over because its segment was removed or replaced. */
const MAX_READ_ATTEMPTS = 10;

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
  readonly #list: SegmentList;
  #active: ActiveSegment | undefined;
  /** Segments below this offset are never appended to again ... */
  #sealedTo: number;
  /** ... and there is no other one. */
  #allSealed: boolean;
  /** The last {@link prepare}; those that come later queue up behind it. */
  #preparing: Promise<void> | undefined;
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
    private settings: LogOptions,
    /** Called when more became durable, and when the log failed. */
    onChange: () => void,
  ) {
    const { checkpoint, nextOffset } = state;
    this.#state = state;
    const fail = (what: string, error: unknown): void => this.#sync.fail(what, error);
    this.#list = new SegmentList(
      {
        ...{ name, state, fail, onStartMoved: onChange },
        secureProducers: (offset) => this.#sync.secureProducers(offset),
        onRemoved: (segments) => this.#sync.removed(segments),
      },
      environment,
    );
    this.#sealedTo = checkpoint.current?.segmentBase ?? 0;
    this.#allSealed = this.#sealedTo > (state.segments.at(-1)?.baseOffset ?? 0);
    this.#dataEndOffset = state.dataEndOffset;
    this.#nextOffset = nextOffset;
    const block = environment.config.offsetCeilingBlock;
    this.#ceiling = new OffsetCeiling(checkpoint, block, nextOffset);
    const tail = (): LogTail => this.#tail();
    this.#sync = new LogSync({ name, directory, state, tail, onChange }, environment, settings);
  }

  get options(): LogOptions {
    return this.settings;
  }

  /** Takes over other options: they apply from the next append, roll or check on. */
  configure(options: LogOptions): void {
    this.settings = options;
    this.#sync.configure(options);
  }

  get producers(): ProducerStates {
    return this.#state.producers;
  }

  get startOffset(): number {
    return this.#list.startOffset;
  }

  /** The offset after the last record. */
  get dataEndOffset(): number {
    return this.#dataEndOffset;
  }

  get nextOffset(): number {
    return this.#nextOffset;
  }

  get leaderEpoch(): number {
    return this.#state.leaderEpoch;
  }

  get sizeBytes(): number {
    return this.#list.sizeBytes;
  }

  /** What the segments' files take, the room ahead of the end included. */
  get diskBytes(): number {
    const { last, sizeBytes } = this.#list;
    return last === undefined ? 0 : sizeBytes - last.sizeBytes + last.fileBytes;
  }

  get segmentCount(): number {
    return this.#list.all.length;
  }

  /** The segment that is appended to, or was last. */
  get lastSegment(): Segment | undefined {
    return this.#list.last;
  }

  /** Below this offset compaction may have taken offsets away. */
  get cleanedTo(): number {
    return this.#list.cleanedTo;
  }

  /** Segments below {@link cleanedTo} that a start did not find. */
  get lostSegments(): readonly ListedSegment[] {
    return this.#state.lostSegments;
  }

  /** True once it is closed or its topic deleted. */
  get closed(): boolean {
    return this.#list.closed;
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
    const before = this.#preparing?.catch(() => undefined);
    const turn = Promise.resolve(before).then(() => this.#prepare(recordCount));
    this.#preparing = turn;
    try {
      await turn;
    } finally {
      if (this.#preparing === turn) this.#preparing = undefined;
    }
  }

  async #prepare(recordCount: number): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    try {
      if (this.#active === undefined) await ensureLogDirectory(this.directory);
      await this.#beginEpochAfterGap();
      if (!this.#ceiling.covers(this.#nextOffset + recordCount)) {
        await this.#ceiling.reserve(this.#nextOffset, recordCount, this.leaderEpoch);
      }
      this.#active ??= await this.#openActive();
      this.#allSealed = false;
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
    const nowMs = this.environment.now();
    try {
      const active = this.#activeFor(bytes.length, batch.recordCount, nowMs);
      stampBatch(bytes, 0, baseOffset, this.leaderEpoch);
      active.append(bytes, batch, baseOffset, nowMs);
    } catch (error) {
      throw this.#appendFailure(error);
    }
    const endLsn = this.#sync.appendedLsn + bytes.length;
    this.#nextOffset += batch.recordCount;
    this.#dataEndOffset = this.#nextOffset;
    this.#list.grew(bytes.length);
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
    return this.#reading(`read of ${this.name} at offset ${offset}`, async () => {
      if (offset < this.startOffset || offset > this.#nextOffset) {
        throw outOfRange(this.name, offset, this.startOffset, this.#nextOffset);
      }
      return readRegion(this.#view(), offset, maxBytes, atLeastOne);
    });
  }

  /**
   * See {@link findTimestamp}.
   * @throws ProtocolError CORRUPT_LOG, STORAGE_ERROR
   */
  async offsetForTimestamp(timestampMs: number): Promise<TimestampedOffset | undefined> {
    return this.#reading(`search of ${this.name} for time ${timestampMs}`, () =>
      findTimestamp(this.#view(), timestampMs),
    );
  }

  /** Reads, again where retention or compaction took the segment that was being read. */
  async #reading<Result>(what: string, read: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await read();
      } catch (error) {
        const again = error instanceof SegmentGoneError && attempt < MAX_READ_ATTEMPTS;
        if (!again) throw storageFailure(what, error);
        await this.#list.swapped();
      }
    }
  }

  /** See {@link SegmentList.sealed}. */
  sealedSegments(): readonly Segment[] {
    return this.#list.sealed();
  }

  /** The offset after the last that a sealed segment may hold. */
  endOf(segment: Segment): number {
    return this.#list.endOf(segment);
  }

  /** See {@link SegmentList.removeBefore}. `offset` is at most the high watermark. */
  removeBefore(offset: number, reason: string): Promise<number> {
    return this.#list.removeBefore(offset, reason);
  }

  /** See {@link SegmentList.replace}. */
  async replaceSegments(inputs: readonly Segment[], swap: SegmentSwap): Promise<void> {
    await this.#list.replace(inputs, swap, (old, by) => this.#sync.replaced(old, by));
  }

  /**
   * Seals the last segment, so that retention and compaction can have it; the next append makes another.
   * Nothing is open then. Does nothing where there is no data, or an append is about to come; resolves
   * when it is tried, and a failure is the log's, as that of any sync.
   */
  async seal(): Promise<void> {
    const { last } = this.#list;
    if (this.failure !== undefined || this.#preparing !== undefined) return;
    if (last === undefined || last.sizeBytes === 0) return;
    const active = this.#active;
    this.#sealedTo = this.#nextOffset;
    this.#allSealed = true;
    if (active !== undefined) {
      this.#active = undefined;
      this.#sync.seal(active, this.#nextOffset);
    }
    await this.#sync.checkpointSealed();
    if (this.canSeal && !last.live) await this.#state.checkpoint.updateBoth();
  }

  /** True when the last segment holds data, and is not sealed and checkpointed as such. */
  get canSeal(): boolean {
    const { last } = this.#list;
    if (last === undefined || last.sizeBytes === 0) return false;
    return last.live || last.baseOffset >= this.#state.checkpoint.certain.segmentBase;
  }

  /**
   * Syncs everything, checkpoints it, trims and closes: the clean end. A failed log just lets go.
   * @throws ProtocolError when it could not.
   */
  async close(): Promise<void> {
    await this.#list.close();
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
    await Promise.all([this.#sync.abandon(reason), this.#list.close()]);
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    await this.#sync.letGo();
    await this.#state.checkpoint.idle();
    this.#active?.abandon();
    this.#active = undefined;
    for (const segment of this.#list.all) segment.forget();
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
    const { last } = this.#list;
    // An empty segment is there when the first append after a gap failed.
    const goOn =
      last !== undefined &&
      last.baseOffset >= this.#sealedTo &&
      (this.#nextOffset === this.#dataEndOffset || this.#nextOffset === last.baseOffset);
    return goOn && last.sizeBytes < options.segmentBytes
      ? ActiveSegment.reopen(last, options.segmentBytes, environment, options)
      : this.#createSegment();
  }

  /** @param bytes of the first batch: one that was checked before the options changed may be larger. */
  #createSegment(bytes = 0): ActiveSegment {
    const { directory, environment, options } = this;
    const { indexIntervalBytes } = options;
    const capacityBytes = Math.max(options.segmentBytes, bytes);
    const segment = new Segment(directory, this.#nextOffset, 0, environment, indexIntervalBytes);
    const active = ActiveSegment.create(segment, capacityBytes, environment, options);
    this.#list.push(segment);
    return active;
  }

  /** The segment for a batch of that size: the active one, or a new one when it is full or old. */
  #activeFor(bytes: number, recordCount: number, nowMs: number): ActiveSegment {
    const active = this.#active;
    if (active === undefined) throw new Error(`${this.name}: append before prepare`);
    const { segment } = active;
    if (segment.sizeBytes === 0) {
      // Its name is taken: it is no use to make another one.
      if (!active.fits(bytes)) active.enlarge(bytes, this.environment);
      return active;
    }
    const offsets = this.#nextOffset + recordCount - segment.baseOffset;
    const full = !active.fits(bytes) || segment.sizeBytes + bytes > this.options.segmentBytes;
    const old = nowMs - (segment.knownFirstAppendMs ?? nowMs) > this.options.segmentMs;
    if (!full && !old && offsets <= MAX_OFFSETS_PER_SEGMENT) return active;
    this.#active = this.#createSegment(bytes);
    this.#sync.seal(active, this.#nextOffset);
    return this.#active;
  }

  #appendFailure(error: unknown): ProtocolError {
    if (!isPassing(error)) this.#sync.fail('append to', error);
    return storageFailure(`append to ${this.name}`, error);
  }

  #appendedEnd(): VisibleEnd | undefined {
    const segment = this.#list.last;
    if (segment === undefined) return undefined;
    return { segment, position: segment.sizeBytes, offset: this.#dataEndOffset };
  }

  #tail(): LogTail {
    return {
      active: this.#active,
      sealedTo: this.#allSealed ? this.#sealedTo : undefined,
      end: this.#appendedEnd(),
      dataEndOffset: this.#dataEndOffset,
      nextOffset: this.#nextOffset,
    };
  }

  #view(): LogView {
    const appended = this.environment.config.visibility === 'appended';
    return {
      segments: this.#list.all,
      end: appended ? this.#appendedEnd() : this.#sync.durableEnd,
      startOffset: this.startOffset,
      epochs: this.#state.epochs,
      cleanedTo: this.cleanedTo,
      lost: this.lostSegments,
    };
  }
}
