import type { Cluster } from '../cluster.js';
import {
  ClosedError,
  InvalidArgumentError,
  toMillraceError,
  type MillraceError,
} from '../errors.js';
import { abortReason, onAbort } from '../util/abort.js';
import { ignore, raceAbort } from '../util/async.js';
import { integerOption } from '../util/check.js';
import { partitionName } from '../util/text.js';
import { Delivery } from './delivery.js';
import type { StreamOptions } from './fetch-options.js';
import type { FetchedBatch } from './fetched-batch.js';
import { LoopTurns } from './loop-turns.js';
import type { Message } from './message.js';
import { MessageIterator } from './message-iterator.js';
import type { PartitionReader } from './partition-reader.js';
import { PartitionStream } from './partition-stream.js';
import { PendingCalls } from './pending-calls.js';

/** Names a partition. */
export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

/** What plain and group consumers have in common: the iteration and the say over partitions. */
export abstract class StreamConsumer implements AsyncIterable<Message>, AsyncDisposable {
  protected readonly stream: PartitionStream;
  protected readonly delivery: Delivery;
  /** Aborted by `close()`. */
  protected readonly closing = new AbortController();
  readonly #exitAtEnd: boolean;
  readonly #onGiven: (() => void) | undefined;
  readonly #calls = new PendingCalls();
  readonly #turns = new LoopTurns();
  #started = false;
  #iterated = false;

  /** @param onGiven called when the application gets a message or a batch */
  protected constructor(cluster: Cluster, options: StreamOptions, onGiven?: () => void) {
    this.#exitAtEnd = options.exitAtEnd;
    this.#onGiven = onGiven;
    this.delivery = new Delivery(options.checkCrc);
    this.stream = new PartitionStream(cluster, options, this.closing.signal, {
      onCut: (readers) => this.delivery.cut(readers),
      onTopicGone: (error) => this.onTopicGone(error),
    });
  }

  abstract start(): Promise<void>;

  /** Ends the iteration quietly and drops what was prefetched. Idempotent. */
  abstract close(): Promise<void>;

  protected abstract onTopicGone(error: MillraceError): void;

  /** The application is done with what it had in hand. */
  protected onMovedOn(): void {
    // Of interest to groups.
  }

  /** The application waits for something to come. */
  protected onIdle(): void {
    // Of interest to groups.
  }

  /** The partitions that are read now. */
  get assignment(): readonly PartitionName[] {
    return Array.from(this.stream.readers, ({ topic, partition }) => ({ topic, partition }));
  }

  /**
   * The offset at which the partition's reading goes on: behind the last message given out.
   *
   * @throws InvalidArgumentError for a partition that is not assigned.
   */
  position(topic: string, partition: number): number {
    return this.delivery.position(this.assigned(topic, partition)).offset;
  }

  /**
   * Goes on at the offset: from this call on no message is given out that was on its way before.
   * An offset that is not in the log is dealt with as `onOutOfRange` says.
   *
   * @throws InvalidArgumentError for a partition that is not assigned.
   */
  seek(topic: string, partition: number, offset: number): void {
    const reader = this.assigned(topic, partition);
    this.stream.seek(reader, integerOption('offset', offset, 0, { minimum: 0 }));
    this.delivery.jumped(reader);
  }

  /**
   * Gives out no further message of these partitions, and fetches none, before {@link resume}.
   * What was fetched ahead is kept, within a bound, and does not hold up other partitions.
   *
   * @throws InvalidArgumentError for a partition that is not assigned; nothing is paused then.
   */
  pause(partitions: readonly PartitionName[]): void {
    for (const reader of this.#allAssigned(partitions)) this.stream.pause(reader);
  }

  /** @throws InvalidArgumentError for a partition that is not assigned; nothing is resumed then. */
  resume(partitions: readonly PartitionName[]): void {
    for (const reader of this.#allAssigned(partitions)) this.stream.resume(reader);
  }

  /**
   * Messages one by one. The event loop gets a turn every 10 ms or so, also while there is always
   * another message at hand and the handler is synchronous.
   */
  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    this.#claim();
    return new MessageIterator({
      ...{ delivery: this.delivery, calls: this.#calls, turns: this.#turns },
      onCall: () => this.#onCall(),
      turn: () => this.#turn(),
      nextBatch: () => this.#next(true),
      onMessage: this.#onGiven,
      close: () => this.close(),
    });
  }

  /** Batches, the fast way: one promise per batch and no object per message. */
  batches(): AsyncIterableIterator<FetchedBatch, undefined> {
    this.#claim();
    const iterator: AsyncIterableIterator<FetchedBatch, undefined> = {
      next: async () => {
        this.#onCall();
        try {
          if (this.#turns.isDue()) await this.#turn();
          const value = await this.#next(false);
          return value === undefined ? { done: true, value } : { done: false, value };
        } finally {
          this.#calls.end();
        }
      },
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @throws InvalidArgumentError */
  protected assigned(topic: string, partition: number): PartitionReader {
    const reader = this.stream.reader(topic, partition);
    if (reader !== undefined) return reader;
    throw new InvalidArgumentError(
      `${partitionName(topic, partition)} is not assigned to this consumer; ` +
        'start() resolves when partitions are, and assignment lists them',
      { topic, partition },
    );
  }

  /** Closes it with the signal's reason as the failure, when that is aborted. */
  protected endWith(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const stop = (): void => {
      this.stream.fail(abortReason(signal));
      this.close().catch(ignore);
    };
    if (signal.aborted) stop();
    else onAbort(this.closing.signal, onAbort(signal, stop));
  }

  /** Stops giving out and fetching. */
  protected end(message: string): void {
    this.closing.abort(new ClosedError(message));
    this.delivery.end();
    this.stream.stop();
  }

  #onCall(): void {
    const means = this.#calls.begin();
    if (means === 'all-handled') this.delivery.settle();
    else if (means === 'overlap') this.delivery.overlap();
  }

  async #turn(): Promise<void> {
    this.onMovedOn();
    await this.#turns.turn();
  }

  #claim(): void {
    if (this.#iterated) throw new InvalidArgumentError('A consumer can be iterated only once');
    this.#iterated = true;
  }

  #allAssigned(partitions: readonly PartitionName[]): readonly PartitionReader[] {
    if (!Array.isArray(partitions)) {
      throw new InvalidArgumentError('partitions must be an array of { topic, partition }');
    }
    return partitions.map(({ topic, partition }: PartitionName) => this.assigned(topic, partition));
  }

  /** The next batch; undefined at the end, or once the consumer is closed. */
  async #next(byMessage: boolean): Promise<FetchedBatch | undefined> {
    const { delivery, stream, closing } = this;
    try {
      delivery.finish();
      this.onMovedOn();
      if (!this.#started && !closing.signal.aborted) await this.#start();
      for (;;) {
        const pending = stream.take();
        if (pending !== undefined) {
          // That of a call that overlaps with this one.
          delivery.finish();
          const batch = delivery.begin(pending, byMessage);
          // Compaction may have left nothing of what is wanted.
          if (batch.count > 0) {
            if (!byMessage) this.#onGiven?.();
            return batch;
          }
          delivery.finish();
          continue;
        }
        stream.throwFailure();
        if (closing.signal.aborted) return undefined;
        if (this.#exitAtEnd && stream.atEnd) {
          await this.close();
          return undefined;
        }
        this.onIdle();
        await stream.wait();
        this.#turns.turned();
      }
    } catch (error) {
      await this.close().catch(ignore);
      throw error;
    }
  }

  async #start(): Promise<void> {
    try {
      await raceAbort(this.start(), this.closing.signal);
      this.#started = true;
    } catch (error) {
      // Closed meanwhile: a quiet end, or the failure that closed it.
      if (this.closing.signal.aborted) return;
      this.stream.throwFailure();
      throw toMillraceError(error);
    }
  }
}
