import type { BatchHeader, ByteChunks, ProtocolError } from '@millrace/protocol';
import { andThen } from '../maybe-promise.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { ListedSegment } from './compaction/listed-segments.js';
import { writeDamage } from './damage.js';
import { CorruptLogError, isPassing, SegmentGoneError, storageFailure } from './errors.js';
import type { LogRegion } from './file-region.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import { LogEnd } from './log-end.js';
import type { AppendedAt } from './log-end.js';
import { findTimestamp, outOfRange, readRegion } from './log-reader.js';
import type { LogView, RegionWish, TimestampedOffset } from './log-reader.js';
import type { LogState } from './log-state.js';
import { LogSync } from './log-sync.js';
import type { LogTail } from './log-sync.js';
import type { ProducerStates } from './producer-states.js';
import { SegmentList } from './segment-list.js';
import type { SegmentSwap } from './segment-list.js';
import type { Segment } from './segment.js';

/** How often a read starts over because its segment was removed or replaced. */
const MAX_READ_ATTEMPTS = 10;

/**
 * A partition's log: segments in order of offset, the last of them appended to. {@link LogEnd} appends,
 * {@link LogSync} makes durable what is appended, {@link SegmentList} knows what there is to read.
 */
export class Log {
  readonly #sync: LogSync;
  readonly #state: LogState;
  readonly #list: SegmentList;
  readonly #end: LogEnd;
  #damage: CorruptLogError | undefined;
  /** What was noticed is being written down. */
  #notingDamage: Promise<void> | undefined;

  constructor(
    /** For messages: `topic-partition`. */
    readonly name: string,
    readonly directory: string,
    state: LogState,
    private readonly environment: LogEnvironment,
    private settings: LogOptions,
    /** Called when more became durable, and when the log failed. */
    private readonly onChange: () => void,
  ) {
    this.#state = state;
    this.#damage = state.damage;
    const fail = (what: string, error: unknown): void => this.#sync.fail(what, error);
    this.#list = new SegmentList(
      {
        ...{ name, state, fail, onStartMoved: onChange },
        secureProducers: (offset) => this.#sync.secureProducers(offset),
        onRemoved: (segments) => this.#sync.removed(segments),
      },
      environment,
    );
    this.#end = new LogEnd(
      {
        ...{ name, directory, state, list: this.#list },
        sync: () => this.#sync,
        options: () => this.settings,
      },
      environment,
    );
    const tail = (): LogTail => this.#end.tail();
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
    return this.#end.dataEndOffset;
  }

  get nextOffset(): number {
    return this.#end.nextOffset;
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

  /**
   * What was found damaged of what had been on the device. What lies before it is served, and what lies
   * behind to who asks for it; nothing is appended until an operator has decided.
   */
  get damage(): CorruptLogError | undefined {
    return this.#damage;
  }

  /** The offset up to which readers are served. */
  get highWatermark(): number {
    const appended = this.environment.config.visibility === 'appended';
    return appended ? this.nextOffset : this.#sync.durableOffset;
  }

  /** See {@link LogEnd.canAppend}. */
  canAppend(recordCount: number): boolean {
    return this.#end.canAppend(recordCount);
  }

  /** See {@link LogEnd.prepare}. */
  prepare(recordCount: number): Promise<void> {
    return this.#end.prepare(recordCount);
  }

  /** See {@link LogEnd.append}. */
  append(bytes: ByteChunks, batch: BatchHeader): AppendedAt {
    return this.#end.append(bytes, batch);
  }

  /** See {@link LogEnd.seal}. */
  seal(): Promise<void> {
    return this.#end.seal();
  }

  /** See {@link LogEnd.canSeal}. */
  get canSeal(): boolean {
    return this.#end.canSeal;
  }

  /** Resolves when the log is on the device up to `lsn`. */
  waitForSync(lsn: number): Promise<void> {
    return this.#sync.waitFor(lsn);
  }

  /**
   * See {@link readRegion}; nothing is thrown at once.
   * @throws ProtocolError OFFSET_OUT_OF_RANGE, CORRUPT_LOG, STORAGE_ERROR
   */
  read(offset: number, maxBytes: number, atLeastOne: boolean): MaybePromise<LogRegion | undefined> {
    return this.#reading(
      () => `read of ${this.name} at offset ${offset}`,
      () => this.#readOnce({ offset, maxBytes, atLeastOne }),
    );
  }

  #readOnce(wish: RegionWish): MaybePromise<LogRegion | undefined> {
    const { offset } = wish;
    if (offset < this.startOffset || offset > this.nextOffset) {
      throw outOfRange(this.name, offset, this.startOffset, this.nextOffset);
    }
    return andThen(readRegion(this.#view(), wish), (region) => {
      // Also from within a gap before what is missing: there is data behind it, and it is gone.
      const isMissing = this.#state.missingFrom < Infinity && offset < this.dataEndOffset;
      if (region === undefined && isMissing && this.#damage !== undefined) throw this.#damage;
      return region;
    });
  }

  /**
   * See {@link findTimestamp}.
   * @throws ProtocolError CORRUPT_LOG, STORAGE_ERROR
   */
  async offsetForTimestamp(timestampMs: number): Promise<TimestampedOffset | undefined> {
    return this.#reading(
      () => `search of ${this.name} for time ${timestampMs}`,
      () => findTimestamp(this.#view(), timestampMs),
    );
  }

  /** Reads, again where retention or compaction took the segment that was being read. */
  #reading<Result>(
    what: () => string,
    read: () => MaybePromise<Result>,
    attempt = 1,
  ): MaybePromise<Result> {
    const failed = async (error: unknown): Promise<Result> => {
      // Before a log is called damaged it is looked at twice.
      const doubted = error instanceof CorruptLogError && attempt === 1;
      const again = error instanceof SegmentGoneError && attempt < MAX_READ_ATTEMPTS;
      if (!again && !doubted) {
        if (error instanceof CorruptLogError) this.noticeDamage(error);
        throw storageFailure(what(), error);
      }
      await this.#list.swapped();
      return this.#reading(what, read, attempt + 1);
    };
    try {
      const result = read();
      return result instanceof Promise ? result.catch(failed) : result;
    } catch (error) {
      return failed(error);
    }
  }

  /** Takes notice of damage: the log takes no more appends, nor does a restart, until it is repaired. */
  noticeDamage(damage: CorruptLogError): void {
    if (this.#damage !== undefined || this.closed) return;
    this.#damage = damage;
    const { logger } = this.environment;
    logger.error(
      { err: damage, log: this.name },
      `${this.name} takes no more appends: ${damage.message}`,
    );
    this.#notingDamage = writeDamage(this.directory, damage).catch((error: unknown) => {
      logger.error({ err: error, log: this.name }, 'the damage could not be written down');
    });
    this.onChange();
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
    const { checkpoint } = this.#state;
    if (checkpoint.current?.hasManifest === true) return;
    // So that a start notices when the manifest is lost. If it fails the next write says it.
    await checkpoint.update({ hasManifest: true }).catch(() => undefined);
  }

  /**
   * Syncs everything, checkpoints it, trims and closes: the clean end. A failed log just lets go.
   * @throws ProtocolError when it could not.
   */
  async close(): Promise<void> {
    await this.#list.close();
    await this.#notingDamage;
    try {
      // What the start found damaged stays as it is, the checkpoint included.
      if (this.#state.damage === undefined && (await this.#sync.settle())) this.#end.finished();
    } catch (error) {
      if (!isPassing(error)) this.#sync.fail('close of', error);
      throw this.failure ?? storageFailure(`close of ${this.name}`, error);
    } finally {
      await this.#letGo();
    }
  }

  /** Lets go of everything without writing: the topic was deleted. Waiters get `reason`. */
  async abandon(reason: ProtocolError): Promise<void> {
    await this.#notingDamage;
    await Promise.all([this.#sync.abandon(reason), this.#list.close()]);
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    await this.#sync.letGo();
    await this.#state.checkpoint.idle();
    this.#end.abandon();
    for (const segment of this.#list.all) segment.forget();
  }

  #view(): LogView {
    const appended = this.environment.config.visibility === 'appended';
    return {
      segments: this.#list.all,
      end: appended ? this.#end.position() : this.#sync.durableEnd,
      startOffset: this.startOffset,
      epochs: this.#state.epochs,
      cleanedTo: this.cleanedTo,
      lost: this.lostSegments,
    };
  }
}
