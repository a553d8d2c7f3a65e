import { inspectBatches, ProtocolError } from '@millrace/protocol';
import type { BatchHeader, ByteChunks } from '@millrace/protocol';
import type { FileRegion } from '../storage/file-region.js';
import type { Log } from '../storage/log.js';
import type { LogEnvironment } from '../storage/log-environment.js';
import type { AppendedBatch } from '../storage/producer-states.js';
import type { TopicConfig } from './topic-config.js';

/** What an acknowledgement waits for: nothing, the page cache, the disk. */
export type Acks = 0 | 1 | -1;

export interface AppendResult {
  readonly baseOffset: number;
  /** -1: records keep the timestamps that their producers gave them. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
}

/** One partition of a topic: what handlers append to and read from. */
export class Partition {
  #log: Log | undefined;
  #problem: ProtocolError | undefined;
  readonly #listeners = new Set<() => void>();
  /** The last append that has to wait its turn; those that come later queue up behind it. */
  #queue: Promise<unknown> | undefined;

  constructor(
    readonly topicName: string,
    readonly topicId: string,
    readonly index: number,
    private readonly config: TopicConfig,
    private readonly environment: LogEnvironment,
  ) {}

  /** Gives the partition its log; until then, and without one, it is offline. */
  attach(log: Log): void {
    this.#log = log;
  }

  /** Takes the partition offline: its log cannot be used. */
  refuse(problem: ProtocolError): void {
    this.#problem = problem;
  }

  get name(): string {
    return `${this.topicName}-${this.index}`;
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

  get segmentCount(): number {
    return this.#log?.segmentCount ?? 0;
  }

  get state(): 'online' | 'offline' {
    return this.problem === undefined ? 'online' : 'offline';
  }

  /** Why the partition is offline. */
  get problem(): ProtocolError | undefined {
    return this.#problem ?? this.#log?.failure;
  }

  /**
   * Checks one batch and appends it; resolves when it is as durable as `acks` asks. A repeat of an
   * idempotent producer is answered with the offset that the first one got, once that is as durable.
   * Appends take effect in the order of the calls.
   * @throws ProtocolError by the returned promise.
   */
  async append(bytes: ByteChunks, acks: Acks): Promise<AppendResult> {
    const log = this.#usableLog();
    const batch = this.#inspect(bytes);
    const appended =
      this.#queue === undefined && log.canAppend(batch.recordCount)
        ? this.#appendNow(log, bytes, batch)
        : await this.#appendInTurn(log, bytes, batch);
    if (acks === -1 && this.environment.config.durability === 'fsync') {
      await log.waitForSync(appended.endLsn);
    }
    return {
      baseOffset: appended.baseOffset,
      logAppendTimeMs: -1,
      logStartOffset: log.startOffset,
    };
  }

  /** See {@link Log.read}. */
  async read(
    offset: number,
    maxBytes: number,
    atLeastOne: boolean,
  ): Promise<FileRegion | undefined> {
    if (this.#problem !== undefined) throw this.#problem;
    if (this.#log === undefined) throw this.#offline();
    try {
      return await this.#log.read(offset, maxBytes, atLeastOne);
    } catch (error) {
      throw this.#whyGone() ?? error;
    }
  }

  /** Why its files went away, beneath a read that had begun before. */
  #whyGone(): ProtocolError | undefined {
    return this.#problem;
  }

  /** The first record at or after a time, with its own timestamp; undefined when there is none. */
  async offsetForTimestamp(
    timestampMs: number,
  ): Promise<{ offset: number; timestampMs: number } | undefined> {
    if (this.#problem !== undefined) throw this.#problem;
    return this.#log?.offsetForTimestamp(timestampMs);
  }

  /**
   * Calls `listener` each time that more becomes visible, or the partition goes away. It is called
   * synchronously and must not throw. Returns the way to stop.
   */
  onVisible(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the listeners. The log calls it when more became durable, or when it failed. */
  notify(): void {
    for (const listener of this.#listeners) listener();
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
    return this.#log !== undefined && this.#log.failure === undefined;
  }

  /** The topic is deleted: everything that waits or comes later gets `reason`. */
  async abandon(reason: ProtocolError): Promise<void> {
    this.#problem = reason;
    this.notify();
    await this.#queue?.catch(() => undefined);
    await this.#log?.abandon(reason);
  }

  #usableLog(): Log {
    const problem = this.problem;
    if (problem !== undefined) throw problem;
    if (this.#log === undefined) throw this.#offline();
    return this.#log;
  }

  #offline(): ProtocolError {
    return new ProtocolError('PARTITION_OFFLINE', `${this.name} is not open`);
  }

  #inspect(bytes: ByteChunks): BatchHeader {
    const [batch] = inspectBatches(bytes, {
      maxBatchBytes: this.config.maxMessageBytes,
      maxRecordsPerBatch: this.environment.config.maxRecordsPerBatch,
      maxTimestampMs: this.environment.now() + this.config.timestampAfterMaxMs,
      maxBatches: 1,
    });
    if (batch === undefined) throw new Error(`${this.name}: no batch was found, and no error`);
    return batch.header;
  }

  #appendNow(log: Log, bytes: ByteChunks, batch: BatchHeader): AppendedAt {
    if (batch.producerId >= 0) {
      this.#checkIssued(log, batch.producerId);
      const repeated = log.producers.check(batch);
      if (repeated !== undefined) return repeated;
    }
    const appended = log.append(bytes, batch);
    if (this.#listeners.size > 0) this.notify();
    return appended;
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

  /** Appends after all appends that came before, making the log ready if need be. */
  #appendInTurn(log: Log, bytes: ByteChunks, batch: BatchHeader): Promise<AppendedAt> {
    const turn = (this.#queue ?? Promise.resolve())
      .catch(() => undefined)
      .then(async () => {
        this.#usableLog();
        if (!log.canAppend(batch.recordCount)) await log.prepare(batch.recordCount);
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

type AppendedAt = Pick<AppendedBatch, 'baseOffset' | 'endLsn'>;
