import { setTimeout as delay } from 'node:timers/promises';
import type { ProtocolError } from '@millrace/protocol';
import type { ActiveSegment } from './active-segment.js';
import { BackgroundWarnings } from './background-warnings.js';
import { Checkpointer } from './checkpointer.js';
import type { CompleteImage } from './checkpointer.js';
import { isBeforeSync, isPassing, storageFailure } from './errors.js';
import { FLUSH_TICK_MS } from './flush-scheduler.js';
import type { Flushable } from './flush-scheduler.js';
import { Flusher } from './flusher.js';
import type { LogEnvironment, LogOptions } from './log-environment.js';
import type { VisibleEnd } from './log-reader.js';
import type { LogState } from './log-state.js';
import { ProducerSnapshots } from './producer-snapshots.js';
import type { Segment } from './segment.js';

/** How often the last sync is tried again, a flush tick apart, while something is short. */
const LAST_SYNC_ATTEMPTS = 50;

/** Where a log ends at one moment. */
export interface LogTail {
  readonly active: ActiveSegment | undefined;
  /** Where the last segment ended, when all are sealed and the next append makes a new one. */
  readonly sealedTo: number | undefined;
  /** Undefined while there is no segment. */
  readonly end: VisibleEnd | undefined;
  /** The offset after the last record. */
  readonly dataEndOffset: number;
  /** The offset that the next record gets. */
  readonly nextOffset: number;
}

/** A segment that is not appended to any more, and not let go yet. */
interface SealedSegment {
  readonly active: ActiveSegment;
  readonly endOffset: number;
  readonly endLsn: number;
}

/** Which log it is, and what it is made of. */
export interface SyncedLog {
  readonly name: string;
  readonly directory: string;
  readonly state: LogState;
  /** Where it ends now. */
  readonly tail: () => LogTail;
  /** Called when more became durable, and when the log failed. */
  readonly onChange: () => void;
}

/**
 * Brings what is appended to a log onto the device, with checkpoints behind the syncs, and knows how far
 * that is. A failed sync is final: nothing is acknowledged on top, and a restart distrusts what was not
 * synced. A shortage that kept a sync from being made is none: it is made later.
 */
export class LogSync implements Flushable {
  readonly #flusher = new Flusher(() => this.#sync(), isBeforeSync);
  readonly #warnings: BackgroundWarnings;
  readonly #snapshots: ProducerSnapshots;
  readonly #checkpointer: Checkpointer;
  /** Oldest first. */
  #sealed: readonly SealedSegment[] = [];
  /** Who waits for the end of a sync, whatever comes of it. */
  #roundWaiters: (() => void)[] = [];
  /** Bytes appended since the log was opened. */
  #appendedLsn = 0;
  #unsyncedSinceMs = 0;
  #durableEnd: VisibleEnd | undefined;
  #durableOffset: number;
  #failure: ProtocolError | undefined;

  constructor(
    private readonly log: SyncedLog,
    private readonly environment: LogEnvironment,
    private options: LogOptions,
  ) {
    const { directory, state } = log;
    this.#warnings = new BackgroundWarnings(log.name, environment.logger);
    this.#snapshots = new ProducerSnapshots(directory, state);
    this.#checkpointer = new Checkpointer(state, this.#snapshots, environment, this.#warnings);
    const { end, nextOffset } = log.tail();
    this.#durableEnd = end;
    this.#durableOffset = nextOffset;
  }

  configure(options: LogOptions): void {
    this.options = options;
  }

  /** Why the log takes no more appends. */
  get failure(): ProtocolError | undefined {
    return this.#failure;
  }

  /** Where the log ended as of the last sync. */
  get durableEnd(): VisibleEnd | undefined {
    return this.#durableEnd;
  }

  /** The offset that the next record would have got, as of the last sync. */
  get durableOffset(): number {
    return this.#durableOffset;
  }

  /** Bytes appended since the log was opened: where it ends, for {@link waitFor}. */
  get appendedLsn(): number {
    return this.#appendedLsn;
  }

  /** The log has a segment now, which begins durably empty. */
  opened(): void {
    this.#durableEnd ??= this.log.tail().end;
  }

  /** Takes notice of `bytes` more at the end of the log, which is as it should be synced already. */
  appended(bytes: number, nowMs: number): void {
    if (this.#flusher.syncedLsn === this.#appendedLsn) {
      this.#unsyncedSinceMs = nowMs;
      this.environment.flushes.add(this);
    }
    this.#appendedLsn += bytes;
    if (this.#appendedLsn - this.#flusher.syncedLsn >= this.options.flushBytes) {
      this.#flusher.start();
    }
  }

  /** The log goes on in another segment: `active` is synced a last time, trimmed and let go. */
  seal(active: ActiveSegment, endOffset: number): void {
    this.#sealed = [...this.#sealed, { active, endOffset, endLsn: this.#appendedLsn }];
    this.#flusher.start();
  }

  /** The bytes of `inputs` are in `output` now. */
  replaced(inputs: readonly Segment[], output: Segment): void {
    const end = this.#durableEnd;
    if (end === undefined || !inputs.includes(end.segment)) return;
    this.#durableEnd = { ...end, segment: output, position: output.sizeBytes };
  }

  /** These are no part of the log any more. */
  removed(segments: readonly Segment[]): void {
    const end = this.#durableEnd;
    // What is left, if anything, has not been synced yet: the checkpoint says where that begins.
    if (end !== undefined && segments.includes(end.segment)) this.#durableEnd = undefined;
  }

  /**
   * Resolves when batches below `offset`, which are synced, may go: a snapshot that is durable says all
   * that they say of their producers.
   */
  async secureProducers(offset: number): Promise<void> {
    if (!this.#snapshots.cover(offset)) {
      const image = this.#snapshots.image(this.log.tail().dataEndOffset);
      await this.#flusher.waitFor(this.#appendedLsn);
      await this.#snapshots.write(image);
    }
    await this.#snapshots.makeNameDurable();
  }

  /**
   * Syncs what is sealed and writes a checkpoint behind it, unless something is appended meanwhile: then
   * there will be one anyway. A shortage is reported, and passes.
   */
  async checkpointSealed(): Promise<void> {
    // The sync that runs may have begun before the last segment was sealed.
    for (let round = 1; round <= 2 && this.#sealed.length > 0; round += 1) {
      if (this.#failure !== undefined) return;
      const ended = new Promise<void>((resolve) => this.#roundWaiters.push(resolve));
      this.#flusher.start();
      await ended;
    }
    await this.#checkpointer.idle();
    if (this.log.tail().sealedTo === undefined || this.#sealed.length > 0) return;
    const image = this.#image();
    if (image === undefined || this.#failure !== undefined) return;
    this.#checkpointer.start(image, this.#checkpointFailed);
    await this.#checkpointer.idle();
  }

  /** Resolves when the log is on the device up to `lsn`. */
  waitFor(lsn: number): Promise<void> {
    return this.#flusher.waitFor(lsn);
  }

  /** Starts the syncs and checkpoints that are due; false when there is nothing left to do. */
  tick(nowMs: number): boolean {
    if (this.#failure !== undefined) return false;
    const postponed = this.#flusher.postponed !== undefined;
    const unsynced = postponed || this.#appendedLsn > this.#flusher.syncedLsn;
    const due = postponed || nowMs - this.#unsyncedSinceMs >= this.options.flushMs;
    if (unsynced && due) this.#flusher.start();
    // A checkpoint says of the segments before its own that they are trimmed.
    const trimmed = this.#sealed.length === 0;
    if (!unsynced && trimmed && this.#checkpointer.isDue(this.#appendedLsn, nowMs)) {
      const image = this.#image();
      if (image !== undefined) this.#checkpointer.start(image, this.#checkpointFailed);
    }
    return unsynced || this.#checkpointer.isBehind(this.#appendedLsn);
  }

  /**
   * Syncs and checkpoints everything, and lets the active segment go. False, and the segment is still
   * there, when the log has failed or there is none.
   * @throws Error when it could not.
   */
  async settle(): Promise<boolean> {
    // Before anything is awaited: what a tick starts would run beside what is written here.
    this.environment.flushes.remove(this);
    const { active, nextOffset, dataEndOffset } = this.log.tail();
    const unsynced = active !== undefined || this.#sealed.length > 0;
    if (unsynced && this.#failure === undefined) await this.#syncLast();
    await this.#checkpointer.idle();
    const image = this.#image(true);
    if (this.#failure !== undefined) return false;
    if (image === undefined || (image.active === undefined && this.#isCheckpointed(image))) {
      // Nothing was appended; but what a restart had to look for in the log, the next need not.
      if (dataEndOffset > 0) {
        await this.#checkpointer.storeProducers(this.#snapshots.image(dataEndOffset));
      }
      return image !== undefined;
    }
    await this.#checkpointer.write(image, { ceiling: nextOffset });
    await image.active?.finish();
    return true;
  }

  /** True when a clean stop would write the checkpoint that is there already. */
  #isCheckpointed({ segmentBase, lsn }: CompleteImage): boolean {
    const { certain, current } = this.log.state.checkpoint;
    if (certain.segmentBase !== segmentBase || this.#checkpointer.isBehind(lsn)) return false;
    return current?.ceiling === this.log.tail().nextOffset;
  }

  async #syncLast(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      this.#flusher.start();
      await this.#flusher.idle();
      const { postponed } = this.#flusher;
      if (postponed === undefined) return;
      if (attempt === LAST_SYNC_ATTEMPTS) throw postponed;
      await delay(FLUSH_TICK_MS);
    }
  }

  /** The log was deleted: whoever waits gets `reason`, and what runs is waited for. */
  async abandon(reason: ProtocolError): Promise<void> {
    this.#failure ??= reason;
    this.#flusher.fail(reason);
    this.#checkpointer.stop();
    await this.letGo();
  }

  /** Lets go of the sealed segments as they are, once nothing works on them any more. */
  async letGo(): Promise<void> {
    this.environment.flushes.remove(this);
    await this.#flusher.idle();
    await this.#checkpointer.idle();
    for (const { active } of this.#sealed) active.abandon();
    this.#sealed = [];
  }

  /**
   * Takes the log offline for good.
   * @param what failed, as in `append to`.
   */
  fail(what: string, error: unknown): void {
    if (this.#failure !== undefined) return;
    const { name, directory } = this.log;
    this.#failure = storageFailure(`${what} ${name} (${directory})`, error, 'final');
    this.environment.logger.error({ err: error, log: name }, this.#failure.message);
    this.#flusher.fail(this.#failure);
    this.#checkpointer.stop();
    this.log.onChange();
  }

  #syncFailed(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.fail('sync of', error);
    this.#distrustTail().catch((cause: unknown) => {
      this.environment.logger.error(
        { err: cause, log: this.log.name },
        'could not mark the tail as not to be trusted',
      );
    });
  }

  /** Offsets were reserved ahead, or not: a shortage passes, any other failure is final. */
  reservationEnded(error: unknown): void {
    if (error === undefined) this.#warnings.succeeded('reserve offsets');
    else if (isPassing(error)) this.#warnings.failed('reserve offsets', error);
    else this.fail('reservation of offsets of', error);
  }

  readonly #checkpointFailed = (error: unknown): void => {
    if (isPassing(error)) this.#warnings.failed('write the checkpoint', error);
    else this.fail('checkpoint of', error);
  };

  async #sync(): Promise<number> {
    try {
      return await this.#syncAll();
    } finally {
      for (const resolve of this.#roundWaiters.splice(0)) resolve();
    }
  }

  /** Makes everything appended so far durable, and lets sealed segments go. */
  async #syncAll(): Promise<number> {
    const lsn = this.#appendedLsn;
    const nowMs = this.environment.now();
    const image = this.#checkpointer.isDue(lsn, nowMs) ? this.#image() : undefined;
    const { active, end, nextOffset } = this.log.tail();
    try {
      for (const sealed of this.#sealed) await this.#syncSealed(sealed);
      await active?.syncTo(end?.position ?? 0);
    } catch (error) {
      if (isBeforeSync(error)) this.#warnings.failed('begin a sync', error);
      else this.#syncFailed(error);
      throw this.#failure ?? error;
    }
    this.#warnings.succeeded('begin a sync');
    this.#becameDurable(end, nextOffset);
    this.#unsyncedSinceMs = nowMs;
    if (image !== undefined && this.#failure === undefined) {
      this.#checkpointer.start(image, this.#checkpointFailed);
    }
    this.log.onChange();
    return lsn;
  }

  /** Each is durable on its own, whatever becomes of those behind it. */
  async #syncSealed(sealed: SealedSegment): Promise<void> {
    const { active, endOffset, endLsn } = sealed;
    const { segment } = active;
    await active.syncTo(segment.sizeBytes);
    this.#becameDurable({ segment, position: segment.sizeBytes, offset: endOffset }, endOffset);
    this.#flusher.advance(endLsn);
    await this.#checkpointer.besides('write the index', active.writeIndex());
    if (this.#failure !== undefined) return;
    await active.finish();
    this.#sealed = this.#sealed.filter((other) => other !== sealed);
  }

  /**
   * Never backwards: a sealed segment that is let go later was synced in an earlier round, and one that
   * has nothing new may have been removed or replaced meanwhile.
   */
  #becameDurable(end: VisibleEnd | undefined, nextOffset: number): void {
    if (nextOffset <= this.#durableOffset) return;
    this.#durableEnd = end;
    this.#durableOffset = nextOffset;
  }

  #image(last = false): CompleteImage | undefined {
    const { active, end, sealedTo, dataEndOffset } = this.log.tail();
    const { leaderEpoch } = this.log.state;
    const lsn = this.#appendedLsn;
    if (active === undefined) {
      if (sealedTo === undefined) return undefined;
      const position = { segmentBase: sealedTo, position: 0, endOffset: dataEndOffset };
      return this.#checkpointer.complete({ lsn, active, ...position, leaderEpoch }, last);
    }
    if (end === undefined) return undefined;
    const { position, offset: endOffset } = end;
    const segmentBase = active.segment.baseOffset;
    return this.#checkpointer.complete(
      { lsn, active, segmentBase, position, endOffset, leaderEpoch },
      last,
    );
  }

  /** What was synced since the last checkpoint may have been acknowledged: it is no part of the tail. */
  #distrustTail(): Promise<void> {
    const end = this.#durableEnd;
    const synced = end !== undefined && {
      segmentBase: end.segment.baseOffset,
      position: end.position,
      endOffset: end.offset,
    };
    return this.log.state.checkpoint.update({ ...synced, tailDistrusted: true });
  }
}
