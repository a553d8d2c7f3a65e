import { stampBatch } from '@millrace/protocol';
import type { BatchHeader, ByteChunks, ProtocolError } from '@millrace/protocol';
import { ActiveSegment } from './active-segment.js';
import { isPassing, storageFailure } from './errors.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import { ensureLogDirectory } from './log-files.js';
import type { VisibleEnd } from './log-reader.js';
import type { LogState } from './log-state.js';
import type { LogSync, LogTail } from './log-sync.js';
import { OffsetCeiling } from './offset-ceiling.js';
import type { SegmentList } from './segment-list.js';
import { Segment } from './segment.js';

/** Index entries hold offsets relative to their segment in 32 bits. */
const MAX_OFFSETS_PER_SEGMENT = 2 ** 32 - 1;

export interface AppendedAt {
  readonly baseOffset: number;
  /** Where the log ends behind the batch, for {@link Log.waitForSync}. */
  readonly endLsn: number;
}

/** The log whose end it is. */
export interface EndedLog {
  readonly name: string;
  readonly directory: string;
  readonly state: LogState;
  readonly list: SegmentList;
  /** Made after the end, for it asks where that is. */
  readonly sync: () => LogSync;
  /** As they are now: they change while the log is in use. */
  readonly options: () => LogOptions;
}

/**
 * Where a log is appended to: assigns offsets, keeps the offset ceiling ahead of them, opens, rolls and
 * seals the last segment.
 *
 * Appending is synchronous while {@link canAppend} holds; {@link prepare} makes it hold.
 */
export class LogEnd {
  readonly #ceiling: OffsetCeiling;
  #active: ActiveSegment | undefined;
  /** Segments below this offset are never appended to again ... */
  #sealedTo: number;
  /** ... and there is no other one. */
  #allSealed: boolean;
  /** The last {@link prepare}; those that come later queue up behind it. */
  #preparing: Promise<void> | undefined;
  #dataEndOffset: number;
  #nextOffset: number;

  constructor(
    private readonly log: EndedLog,
    private readonly environment: LogEnvironment,
  ) {
    const { checkpoint, dataEndOffset, nextOffset, segments } = log.state;
    this.#sealedTo = checkpoint.current?.segmentBase ?? 0;
    this.#allSealed = this.#sealedTo > (segments.at(-1)?.baseOffset ?? 0);
    this.#dataEndOffset = dataEndOffset;
    this.#nextOffset = nextOffset;
    const block = environment.config.offsetCeilingBlock;
    this.#ceiling = new OffsetCeiling(checkpoint, block, nextOffset);
  }

  /** The offset after the last record. */
  get dataEndOffset(): number {
    return this.#dataEndOffset;
  }

  /** The offset that the next record gets: beyond {@link dataEndOffset} after an unclean stop. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** True when {@link append} of that many records works at once. */
  canAppend(recordCount: number): boolean {
    return (
      this.#active !== undefined &&
      this.log.sync().failure === undefined &&
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
    const { failure } = this.log.sync();
    if (failure !== undefined) throw failure;
    try {
      if (this.#active === undefined) await ensureLogDirectory(this.log.directory);
      await this.#beginEpochAfterGap();
      // With the next write: the reservation, where an epoch has just begun.
      const { checkpoint, epochs } = this.log.state;
      if (epochs.latest !== undefined) checkpoint.amend({ hasEpochs: true });
      if (!this.#ceiling.covers(this.#nextOffset + recordCount)) {
        await this.#ceiling.reserve(this.#nextOffset, recordCount, this.log.state.leaderEpoch);
      }
      this.#active ??= await this.#openActive();
      this.#allSealed = false;
      this.log.sync().opened();
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
      stampBatch(bytes, 0, baseOffset, this.log.state.leaderEpoch);
      active.append(bytes, batch, baseOffset, nowMs);
    } catch (error) {
      throw this.#appendFailure(error);
    }
    const endLsn = this.log.sync().appendedLsn + bytes.length;
    this.#nextOffset += batch.recordCount;
    this.#dataEndOffset = this.#nextOffset;
    this.log.list.grew(bytes.length);
    this.log.state.producers.record(batch, baseOffset, endLsn, nowMs);
    this.log.sync().appended(bytes.length, nowMs);
    this.#ceiling.reserveAhead(this.#nextOffset, this.log.state.leaderEpoch, (error) =>
      this.log.sync().reservationEnded(error),
    );
    return { baseOffset, endLsn };
  }

  /**
   * Seals the last segment, so that retention and compaction can have it; the next append makes another.
   * Nothing is open then. Does nothing where there is no data, or an append is about to come; resolves
   * when it is tried, and a failure is the log's, as that of any sync.
   */
  async seal(): Promise<void> {
    const { last } = this.log.list;
    if (this.log.sync().failure !== undefined || this.#preparing !== undefined) return;
    if (last === undefined || last.sizeBytes === 0) return;
    const active = this.#active;
    this.#sealedTo = this.#nextOffset;
    this.#allSealed = true;
    if (active !== undefined) {
      this.#active = undefined;
      this.log.sync().seal(active, this.#nextOffset);
    }
    await this.log.sync().checkpointSealed();
    if (this.canSeal && !last.live) await this.log.state.checkpoint.updateBoth();
  }

  /** True when the last segment holds data, and is not sealed and checkpointed as such. */
  get canSeal(): boolean {
    const { last } = this.log.list;
    if (last === undefined || last.sizeBytes === 0) return false;
    return last.live || last.baseOffset >= this.log.state.checkpoint.certain.segmentBase;
  }

  /** After an unclean stop the log goes on beyond every offset that may have been seen. */
  async #beginEpochAfterGap(): Promise<void> {
    const { epochs } = this.log.state;
    if (this.#nextOffset === this.#dataEndOffset || this.#active !== undefined) return;
    if (epochs.latest?.startOffset === this.#nextOffset) return;
    await epochs.begin({
      epoch: this.log.state.leaderEpoch,
      startOffset: this.#nextOffset,
      previousEndOffset: this.#dataEndOffset,
    });
  }

  async #openActive(): Promise<ActiveSegment> {
    const { environment } = this;
    const options = this.log.options();
    const { last } = this.log.list;
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
    const { environment } = this;
    const { directory } = this.log;
    const options = this.log.options();
    const { indexIntervalBytes } = options;
    const capacityBytes = Math.max(options.segmentBytes, bytes);
    const segment = new Segment(directory, this.#nextOffset, 0, environment, indexIntervalBytes);
    const active = ActiveSegment.create(segment, capacityBytes, environment, options);
    this.log.list.push(segment);
    return active;
  }

  /** The segment for a batch of that size: the active one, or a new one when it is full or old. */
  #activeFor(bytes: number, recordCount: number, nowMs: number): ActiveSegment {
    const active = this.#active;
    if (active === undefined) throw new Error(`${this.log.name}: append before prepare`);
    const { segment } = active;
    if (segment.sizeBytes === 0) {
      // Its name is taken: it is no use to make another one.
      if (!active.fits(bytes)) active.enlarge(bytes, this.environment);
      return active;
    }
    const offsets = this.#nextOffset + recordCount - segment.baseOffset;
    const full = !active.fits(bytes) || segment.sizeBytes + bytes > this.log.options().segmentBytes;
    const old = nowMs - (segment.knownFirstAppendMs ?? nowMs) > this.log.options().segmentMs;
    if (!full && !old && offsets <= MAX_OFFSETS_PER_SEGMENT) return active;
    this.#active = this.#createSegment(bytes);
    this.log.sync().seal(active, this.#nextOffset);
    return this.#active;
  }

  /** The active segment was synced a last time and let go. */
  finished(): void {
    this.#active = undefined;
  }

  /** Lets go of the active segment as it is. */
  abandon(): void {
    this.#active?.abandon();
    this.#active = undefined;
  }

  #appendFailure(error: unknown): ProtocolError {
    if (!isPassing(error)) this.log.sync().fail('append to', error);
    return storageFailure(`append to ${this.log.name}`, error);
  }

  /** Where the data ends; undefined while there is no segment. */
  position(): VisibleEnd | undefined {
    const segment = this.log.list.last;
    if (segment === undefined) return undefined;
    return { segment, position: segment.sizeBytes, offset: this.#dataEndOffset };
  }

  /** How the log ends now. */
  tail(): LogTail {
    return {
      active: this.#active,
      sealedTo: this.#allSealed ? this.#sealedTo : undefined,
      end: this.position(),
      dataEndOffset: this.#dataEndOffset,
      nextOffset: this.#nextOffset,
    };
  }
}
