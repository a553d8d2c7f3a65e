import { ProtocolError } from '@millrace/protocol';
import { isPassing, SegmentGoneError, storageFailure } from './errors.js';
import type { LogEnvironment } from './log-environment.js';
import { removeSegmentFiles } from './log-files.js';
import { nextTurn } from './warm-up.js';
import type { LogState } from './log-state.js';
import { indexAfter } from './segment-search.js';
import type { Segment } from './segment.js';

/** The log that a list of segments is part of. */
export interface ListedLog {
  /** For messages: `topic-partition`. */
  readonly name: string;
  readonly state: LogState;
  /** Takes the log offline: its files are not what it believes they are. */
  readonly fail: (what: string, error: unknown) => void;
  /** Called when the log begins at another offset. */
  readonly onStartMoved: () => void;
  /** Resolves when a restart knows the producers of batches below `offset` without these. */
  readonly secureProducers: (offset: number) => Promise<void>;
  /** Told in the same turn of the event loop in which readers stop to find `removed`. */
  readonly onRemoved: (removed: readonly Segment[]) => void;
}

/**
 * Puts one segment in the place of several.
 *
 * `begin` makes the old ones unusable, and resolves when nothing touches their files by name any more: it
 * is to be called, and awaited, right before the first change of those files. A rejection before that
 * leaves the log as it was; one after that takes it offline, unless `begin` was given `standby`, the same
 * segments once more: those are put in their place until `commit` says that there is no way back.
 */
export type SegmentSwap = (
  begin: (standby?: readonly Segment[]) => Promise<void>,
  commit: () => void,
) => Promise<Segment>;
/** Told in the same turn of the event loop in which readers begin to find `by` in the place of `old`. */
export type OnReplaced = (old: readonly Segment[], by: Segment) => void;

/**
 * The segments of a log, by base offset. They come at the new end; at the old end they go, or are
 * replaced by what compaction made of them, one such change at a time.
 */
export class SegmentList {
  #segments: readonly Segment[];
  #sizeBytes: number;
  #startOffset: number;
  #cleanedTo: number;
  /** The last change of old segments; those that come later queue up behind it. */
  #changing: Promise<unknown> = Promise.resolve();
  /** While files have other contents than their segments say. */
  #swapping: Promise<unknown> | undefined;
  #closed = false;

  constructor(
    private readonly log: ListedLog,
    private readonly environment: LogEnvironment,
  ) {
    const { segments, startOffset, cleanedTo } = log.state;
    this.#segments = segments;
    this.#sizeBytes = segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
    this.#startOffset = startOffset;
    this.#cleanedTo = cleanedTo;
  }

  get all(): readonly Segment[] {
    return this.#segments;
  }

  get last(): Segment | undefined {
    return this.#segments.at(-1);
  }

  /** Data of all segments together. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The first offset that the log still answers for. */
  get startOffset(): number {
    return this.#startOffset;
  }

  /** True from {@link close} on. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Below this offset compaction may have taken offsets away. */
  get cleanedTo(): number {
    return this.#cleanedTo;
  }

  /** Adds a segment at the new end. */
  push(segment: Segment): void {
    this.#segments = [...this.#segments, segment];
  }

  /** The last segment has that much more. */
  grew(bytes: number): void {
    this.#sizeBytes += bytes;
  }

  /**
   * Segments that never change again but by retention and compaction: synced, let go, and wholly below
   * the checkpoint. Oldest first.
   */
  sealed(): readonly Segment[] {
    const { segmentBase } = this.log.state.checkpoint.certain;
    return this.#segments.filter((segment) => isSealed(segment, segmentBase));
  }

  /** The offset after the last that a sealed segment may hold. */
  endOf(segment: Segment): number {
    const next = this.#segments[indexAfter(this.#segments, segment.baseOffset)];
    return next?.baseOffset ?? this.log.state.checkpoint.certain.segmentBase;
  }

  /**
   * Moves the start of the log to `offset`, durably, unless it lies there or beyond already; then removes
   * the sealed segments that are wholly below. What a crash leaves of those is removed at the next start.
   * @param reason for the log line.
   * @returns the first offset that the log answers for.
   * @throws ProtocolError STORAGE_ERROR, and the start is where it was.
   */
  removeBefore(offset: number, reason: string): Promise<number> {
    return this.#inTurn(async () => {
      if (offset > this.#startOffset) await this.#moveStart(offset);
      const sealed = this.sealed();
      const kept = sealed.findIndex((segment) => this.endOf(segment) > this.#startOffset);
      const removed = kept < 0 ? sealed : sealed.slice(0, kept);
      if (removed.length > 0 && (await this.#mayGo(removed))) await this.#remove(removed, reason);
      return this.#startOffset;
    });
  }

  /**
   * Puts what `swap` resolves to in the place of `inputs`, which are adjacent and sealed.
   * @throws SegmentGoneError when an input is not there any more; nothing was done then.
   */
  replace(inputs: readonly Segment[], swap: SegmentSwap, onReplaced: OnReplaced): Promise<Segment> {
    return this.#inTurn(async () => {
      const last = inputs.at(-1);
      if (last === undefined) throw new Error(`${this.log.name}: nothing to replace`);
      const first = indexAfter(this.#segments, last.baseOffset) - inputs.length;
      const { segmentBase } = this.log.state.checkpoint.certain;
      for (const [i, input] of inputs.entries()) {
        const there = this.#segments[first + i] === input && isSealed(input, segmentBase);
        if (!there) throw new SegmentGoneError(input.logPath);
      }
      const end = this.endOf(last);
      const output = await this.#swap(inputs, swap, (standby) => {
        this.#segments = this.#segments.toSpliced(first, inputs.length, ...standby);
        for (const [i, segment] of standby.entries()) onReplaced(inputs.slice(i, i + 1), segment);
      });
      this.#cleanedTo = Math.max(this.#cleanedTo, end);
      this.#segments = this.#segments.toSpliced(first, inputs.length, output);
      this.#sizeBytes += output.sizeBytes - bytesOf(inputs);
      onReplaced(inputs, output);
      return output;
    });
  }

  /** Resolves when files and segments are one again, for a reader whose segment is gone. */
  async swapped(): Promise<void> {
    await this.#swapping?.catch(() => undefined);
    await nextTurn();
  }

  /** Makes no more changes of old segments; resolves when none is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#changing.catch(() => undefined);
  }

  async #moveStart(offset: number): Promise<void> {
    const { checkpoint } = this.log.state;
    try {
      await checkpoint.update({ startOffset: offset });
    } catch (error) {
      // A write that comes later must not move it: this one was refused.
      checkpoint.amend({ startOffset: this.#startOffset });
      if (!isPassing(error)) this.log.fail('checkpoint of', error);
      throw storageFailure(`move the start of ${this.log.name} to offset ${offset}`, error);
    }
    this.#startOffset = offset;
    this.log.onStartMoved();
  }

  /**
   * Makes durable what a restart needs to do without these: the start, in both slots of the checkpoint, and
   * what they say of producers. False when that has to be tried later.
   */
  async #mayGo(removed: readonly Segment[]): Promise<boolean> {
    const { checkpoint } = this.log.state;
    try {
      if (checkpoint.certain.startOffset < this.#startOffset) await checkpoint.updateBoth();
      await this.log.secureProducers(this.endOf(removed.at(-1) as Segment));
      return true;
    } catch (error) {
      this.environment.logger.warn(
        { err: error, log: this.log.name },
        'segments below the start of the log stay until its checkpoint and what is known of its ' +
          'producers can be written again',
      );
      return false;
    }
  }

  async #remove(removed: readonly Segment[], reason: string): Promise<void> {
    this.#segments = this.#segments.slice(removed.length);
    const bytes = bytesOf(removed);
    this.#sizeBytes -= bytes;
    this.log.onRemoved(removed);
    await Promise.all(removed.map((segment) => segment.leave()));
    await removeSegmentFiles(removed, this.environment);
    await this.#forgetEpochs();
    this.environment.counters?.removed(removed.length, bytes);
    this.environment.logger.info(
      { log: this.log.name, segments: removed.length, bytes, startOffset: this.#startOffset },
      `removed the oldest segments: ${reason}`,
    );
  }

  /** Epochs that ended before the oldest segment; those that cannot be forgotten now go with the next. */
  async #forgetEpochs(): Promise<void> {
    const { epochs } = this.log.state;
    const oldest = this.#segments[0]?.baseOffset ?? Infinity;
    try {
      await epochs.forgetBefore(Math.min(oldest, this.#startOffset));
    } catch (error) {
      this.environment.logger.warn(
        { err: error, log: this.log.name },
        'epochs below the start of the log could not be forgotten',
      );
    }
  }

  async #swap(
    inputs: readonly Segment[],
    swap: SegmentSwap,
    putBack: (standby: readonly Segment[]) => void,
  ): Promise<Segment> {
    let begun: Promise<unknown> | undefined;
    let standby: readonly Segment[] | undefined;
    const begin = async (again?: readonly Segment[]): Promise<void> => {
      standby = again;
      begun ??= Promise.all(inputs.map((segment) => segment.leave()));
      await begun;
    };
    const swapping = swap(begin, () => (standby = undefined));
    // Nobody finds a segment gone before `begin`, which is in here.
    this.#swapping = swapping;
    try {
      const output = await swapping;
      await begin();
      return output;
    } catch (error) {
      if (standby !== undefined) putBack(standby);
      else if (begun !== undefined) this.log.fail('compaction of', error);
      throw error;
    } finally {
      this.#swapping = undefined;
    }
  }

  #inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const turn = this.#changing
      .catch(() => undefined)
      .then(() => {
        if (!this.#closed) return change();
        throw new ProtocolError('SHUTTING_DOWN', `${this.log.name} is closed`);
      });
    this.#changing = turn;
    return turn;
  }
}

function isSealed({ baseOffset, live }: Segment, segmentBase: number): boolean {
  return baseOffset < segmentBase && !live;
}

function bytesOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
}
