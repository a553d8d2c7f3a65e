import { inspectBatches, ProtocolError, stampAppendTime } from '@millrace/protocol';
import type { BatchHeader, ByteChunks, PartitionState } from '@millrace/protocol';
import { andThen } from '../maybe-promise.js';
import type { MaybePromise } from '../maybe-promise.js';
import { Roster } from '../roster.js';
import type { LogRegion } from '../storage/file-region.js';
import type { Log } from '../storage/log.js';
import type { LogEnvironment } from '../storage/log-environment.js';
import type { AppendedBatch } from '../storage/producer-states.js';
import { deletableOffset } from './deletable-offset.js';
import { inlineFinder } from './null-keys/finder.js';
import { checkKeys } from './null-keys/key-check.js';
import type { TopicConfig } from './topic-config.js';

/** What an acknowledgement waits for: nothing, the page cache, the disk. */
export type Acks = 0 | 1 | -1;

export interface AppendResult {
  readonly baseOffset: number;
  /** -1: records keep the timestamps that their producers gave them, or it is a repeat. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
}

const call = (listener: () => void): void => {
  listener();
};

/** One partition of a topic: what handlers append to and read from. */
export class Partition {
  /** `topic-partition`. */
  readonly name: string;
  #log: Log | undefined;
  #problem: ProtocolError | undefined;
  readonly #listeners = new Roster<() => void>();
  /** The last append that has to wait its turn; those that come later queue up behind it. */
  #queue: Promise<unknown> | undefined;

  constructor(
    readonly topicName: string,
    readonly topicId: string,
    readonly index: number,
    private config: TopicConfig,
    private readonly environment: LogEnvironment,
  ) {
    this.name = `${topicName}-${index}`;
  }

  /** Gives the partition its log; until then, and without one, it is offline. */
  attach(log: Log): void {
    this.#log = log;
  }

  /** Takes over another config: it applies from the next append, roll or check on. */
  configure(config: TopicConfig): void {
    this.config = config;
    this.#log?.configure(config);
  }

  /** Takes the partition offline: its log cannot be used. */
  refuse(problem: ProtocolError): void {
    this.#problem = problem;
  }

  get log(): Log | undefined {
    return this.#log;
  }

  get leaderEpoch(): number {
    return this.#log?.leaderEpoch ?? -1;
  }

  get startOffset(): number {
    return this.#log?.startOffset ?? 0;
  }

  /** The offset that the next record gets. */
  get endOffset(): number {
    return this.#log?.nextOffset ?? 0;
  }

  /** Records below this offset are visible to consumers. */
  get highWatermark(): number {
    return this.#log?.highWatermark ?? 0;
  }

  get sizeBytes(): number {
    return this.#log?.sizeBytes ?? 0;
  }

  /** What the segments' files take on disk. */
  get diskBytes(): number {
    return this.#log?.diskBytes ?? 0;
  }

  get segmentCount(): number {
    return this.#log?.segmentCount ?? 0;
  }

  /** `damaged`: what is sound of it is served, and nothing is appended. */
  get state(): PartitionState {
    if ((this.#problem ?? this.#log?.failure) !== undefined) return 'offline';
    return this.#log?.damage === undefined ? 'online' : 'damaged';
  }

  /** Why the partition is not online. */
  get problem(): ProtocolError | undefined {
    return this.#problem ?? this.#log?.failure ?? this.#log?.damage;
  }

  /**
   * Checks one batch and appends it; resolves when it is as durable as `acks` asks. A repeat of an
   * idempotent producer is answered with the offset that the first one got, once that is as durable.
   * Appends take effect in the order of the calls.
   * @throws ProtocolError by the returned promise.
   */
  async append(bytes: ByteChunks, acks: Acks): Promise<AppendResult> {
    return this.appendAtOnce(bytes, acks);
  }

  /**
   * {@link append}, whose result is there at once where nothing is waited for.
   * @throws ProtocolError at once or by the promise.
   */
  appendAtOnce(bytes: ByteChunks, acks: Acks): MaybePromise<AppendResult> {
    const log = this.#usableLog();
    const batch = this.#inspect(bytes);
    const keyed = this.#checkKeys(bytes, batch);
    const appended =
      keyed === undefined && this.#queue === undefined && log.canAppend(batch.recordCount)
        ? this.#appendNow(log, bytes, batch)
        : this.#appendInTurn(log, bytes, batch, keyed);
    return andThen(appended, (done) => this.#acknowledge(log, done, acks));
  }

  /** See {@link Log.read}. */
  async read(
    offset: number,
    maxBytes: number,
    atLeastOne: boolean,
  ): Promise<LogRegion | undefined> {
    return this.readAtOnce(offset, maxBytes, atLeastOne);
  }

  /**
   * {@link read}, whose result is there at once where memory tells it.
   * @throws ProtocolError at once or by the promise.
   */
  readAtOnce(
    offset: number,
    maxBytes: number,
    atLeastOne: boolean,
  ): MaybePromise<LogRegion | undefined> {
    const region = this.#openLog().read(offset, maxBytes, atLeastOne);
    return region instanceof Promise ? this.#orWhyGone(region) : region;
  }

  /**
   * Gives up all records below `offset`, -1 for all that consumers can see; resolves to the first offset
   * that is left, once that is durable. Readers do not get them from then on. Their space is freed
   * segment by segment, when all of one is given up and it is sealed.
   * @throws ProtocolError OFFSET_OUT_OF_RANGE beyond the high watermark, POLICY_VIOLATION, STORAGE_ERROR
   */
  async deleteRecords(offset: number): Promise<number> {
    const log = this.#usableLog();
    const upTo = deletableOffset(this.name, offset, log.highWatermark, this.config.cleanupPolicy);
    return this.#orWhyGone(log.removeBefore(upTo, 'their records were deleted'));
  }

  /** The first record at or after a time, with its own timestamp; undefined when there is none. */
  async offsetForTimestamp(
    timestampMs: number,
  ): Promise<{ offset: number; timestampMs: number } | undefined> {
    return this.#orWhyGone(this.#openLog().offsetForTimestamp(timestampMs));
  }

  /**
   * Calls `listener` each time that more becomes visible, or the partition goes away. It is called
   * synchronously, in no order and perhaps twice, and must not throw. Returns the way to stop.
   */
  onVisible(listener: () => void): () => void {
    const seat = this.#listeners.add(listener);
    return () => {
      this.#listeners.remove(seat);
    };
  }

  /** Tells the listeners. The log calls it when more became durable, or when it failed. */
  notify(): void {
    this.#listeners.forEach(call);
  }

  /**
   * Takes no more appends, and syncs and checkpoints what there is. Resolves to false when the log
   * could not be left in good order, so that the next start has to recover it.
   */
  async close(): Promise<boolean> {
    this.#problem ??= new ProtocolError('SHUTTING_DOWN', `${this.name}: the broker is stopping`);
    this.notify();
    await this.#queue?.catch(() => undefined);
    await this.#log?.close();
    const { damage, failure } = this.#log ?? {};
    return this.#log !== undefined && failure === undefined && damage === undefined;
  }

  /** The topic is deleted: everything that waits or comes later gets `reason`. */
  async abandon(reason: ProtocolError): Promise<void> {
    this.#problem = reason;
    this.notify();
    await this.#queue?.catch(() => undefined);
    await this.#log?.abandon(reason);
  }

  /** Rejects with why the files went away, where they did beneath `work` that had begun before. */
  async #orWhyGone<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      throw this.#problem ?? error;
    }
  }

  /** For reads, which a log that takes no appends any more still serves. */
  #openLog(): Log {
    if (this.#problem !== undefined) throw this.#problem;
    if (this.#log !== undefined) return this.#log;
    throw new ProtocolError('PARTITION_OFFLINE', `${this.name} is not open`);
  }

  #usableLog(): Log {
    const log = this.#openLog();
    const problem = log.failure ?? log.damage;
    if (problem !== undefined) throw problem;
    return log;
  }

  #inspect(bytes: ByteChunks): BatchHeader {
    const [batch] = inspectBatches(bytes, {
      maxBatchBytes: this.config.maxMessageBytes,
      maxRecordsPerBatch: this.environment.config.maxRecordsPerBatch,
      // What the broker replaces may be anything.
      maxTimestampMs: this.#stampsTime
        ? Number.MAX_SAFE_INTEGER
        : this.environment.now() + this.config.timestampAfterMaxMs,
      maxBatches: 1,
    });
    if (batch === undefined) throw new Error(`${this.name}: no batch was found, and no error`);
    return batch.header;
  }

  get #stampsTime(): boolean {
    return this.config.messageTimestampType === 'LogAppendTime';
  }

  #checkKeys(bytes: ByteChunks, header: BatchHeader): Promise<void> | undefined {
    const { cleanupPolicy, maxMessageBytes } = this.config;
    if (cleanupPolicy === 'delete') return undefined;
    const batch = { bytes, header, partition: this.name, maxMessageBytes };
    return checkKeys(batch, this.environment.nullKeys ?? inlineFinder);
  }

  /** As soon as it is as durable as `acks` asks. */
  #acknowledge(log: Log, appended: AppendedAt, acks: Acks): MaybePromise<AppendResult> {
    const { baseOffset, appendTimeMs = -1, endLsn } = appended;
    const result = (): AppendResult => ({
      baseOffset,
      logAppendTimeMs: appendTimeMs,
      logStartOffset: log.startOffset,
    });
    if (acks !== -1 || this.environment.config.durability !== 'fsync') return result();
    return log.waitForSync(endLsn).then(result);
  }

  #appendNow(log: Log, bytes: ByteChunks, batch: BatchHeader): AppendedAt {
    if (batch.producerId >= 0) {
      this.#checkIssued(log, batch.producerId);
      const repeated = log.producers.check(batch);
      if (repeated !== undefined) return repeated;
    }
    const appended = this.#stampsTime
      ? this.#appendStamped(log, bytes, batch)
      : log.append(bytes, batch);
    if (this.#listeners.size > 0) this.notify();
    return appended;
  }

  /** By the time of the append itself: where offsets go on, time must not go back. */
  #appendStamped(log: Log, bytes: ByteChunks, batch: BatchHeader): AppendedAt {
    const appendTimeMs = this.environment.now();
    stampAppendTime(bytes, appendTimeMs);
    return { ...log.append(bytes, { ...batch, maxTimestampMs: appendTimeMs }), appendTimeMs };
  }

  /** An id that is made up will be somebody's one day, who would then be taken for this one. */
  #checkIssued(log: Log, producerId: number): void {
    if (log.producers.knows(producerId) || this.environment.isIssuedProducerId(producerId)) return;
    throw new ProtocolError(
      'UNKNOWN_PRODUCER_ID',
      `${this.name}: this broker never gave out producer id ${producerId}; ask for one ` +
        '(initProducerId)',
    );
  }

  /**
   * Appends after all appends that came before, making the log ready if need be.
   * @param keyed what to wait for as well.
   */
  #appendInTurn(
    log: Log,
    bytes: ByteChunks,
    batch: BatchHeader,
    keyed: Promise<void> | undefined,
  ): Promise<AppendedAt> {
    // It may be refused long before its turn comes.
    keyed?.catch(() => undefined);
    const turn = (this.#queue ?? Promise.resolve())
      .catch(() => undefined)
      .then(async () => {
        await keyed;
        this.#usableLog();
        // Again where the segment was sealed in between.
        while (!log.canAppend(batch.recordCount)) await log.prepare(batch.recordCount);
        this.#usableLog();
        return this.#appendNow(log, bytes, batch);
      });
    this.#queue = turn;
    const done = (): void => {
      if (this.#queue === turn) this.#queue = undefined;
    };
    turn.then(done, done);
    return turn;
  }
}

interface AppendedAt extends Pick<AppendedBatch, 'baseOffset' | 'endLsn'> {
  /** The broker's time, where that is the records'. */
  readonly appendTimeMs?: number;
}
