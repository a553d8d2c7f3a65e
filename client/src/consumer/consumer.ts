import type { Cluster } from '../cluster.js';
import { ClosedError, InvalidArgumentError, toMillraceError } from '../errors.js';
import { abortReason, onAbort } from '../util/abort.js';
import { Deferred, raceAbort } from '../util/async.js';
import { FetchedBatch } from './fetched-batch.js';
import { Fetcher } from './fetcher.js';
import type { Message } from './message.js';
import {
  resolveConsumerOptions,
  type ConsumerOptions,
  type ResolvedConsumerOptions,
} from './options.js';
import type { PendingBatch } from './partition-reader.js';
import { startReaders } from './start-offsets.js';

/** What a consumer needs from its client. */
export interface ConsumerContext {
  readonly cluster: Cluster;
  readonly onClosed: (consumer: Consumer) => void;
}

/**
 * Reads partitions from a given position on, message by message or batch by batch. Messages of a
 * partition come in the order of their offsets; offsets may have gaps. Connection failures and
 * restarts of the broker are retried for as long as it takes (`onEvent` of the client tells of
 * them); other errors are thrown from the iteration, after everything that came before them.
 *
 * It can be iterated once. Leaving the loop, for whatever reason, closes the consumer.
 */
export class Consumer implements AsyncIterable<Message>, AsyncDisposable {
  readonly #context: ConsumerContext;
  readonly #options: ResolvedConsumerOptions;
  readonly #closing = new AbortController();
  #queue: PendingBatch[] = [];
  #head = 0;
  #queuedBytes = 0;
  /** Prefetching rests until half of the bound is free. */
  #resting = false;
  #fetcher: Fetcher | undefined;
  #starting: Promise<void> | undefined;
  #waiting: Deferred<undefined> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #iterated = false;

  /** Made by `client.consumer(options)`. */
  constructor(context: ConsumerContext, options: ConsumerOptions) {
    this.#context = context;
    this.#options = resolveConsumerOptions(options);
    const { signal } = this.#options;
    if (signal === undefined) return;
    const stop = (): void => {
      this.#fail(abortReason(signal));
      void this.close();
    };
    if (signal.aborted) stop();
    else onAbort(this.#closing.signal, onAbort(signal, stop));
  }

  /**
   * Finds the partitions and the positions to start from, and begins to prefetch. Iterating does
   * it too; calling it before tells when `from: 'end'` is fixed.
   *
   * @throws UnknownTopicError, BrokerError and others; the signal's reason.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Messages one by one. */
  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    this.#claim();
    return new MessageIterator(
      () => this.#next(),
      () => this.close(),
    );
  }

  /** Batches, the fast way: one promise per batch and no object per message. */
  batches(): AsyncIterableIterator<FetchedBatch, undefined> {
    this.#claim();
    const iterator: AsyncIterableIterator<FetchedBatch, undefined> = {
      next: async () => {
        const value = await this.#next();
        return value === undefined ? { done: true, value } : { done: false, value };
      },
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** Ends the iteration quietly and drops what was prefetched. Idempotent. */
  close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(new ClosedError('The consumer was closed'));
      this.#queue = [];
      this.#head = 0;
      this.#queuedBytes = 0;
      this.#wake();
      this.#context.onClosed(this);
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #claim(): void {
    if (this.#iterated) throw new InvalidArgumentError('A consumer can be iterated only once');
    this.#iterated = true;
  }

  async #start(): Promise<void> {
    const { cluster } = this.#context;
    const { signal } = this.#closing;
    this.#throwFailure();
    const limits = { signal, retryForMs: Infinity };
    try {
      const readers = await startReaders(cluster, this.#options, limits);
      this.#fetcher = new Fetcher(cluster, this.#options, readers, signal, {
        onBatches: (batches) => this.#onBatches(batches),
        onFailed: (error) => this.#fail(error),
        onProgress: () => this.#wake(),
        wantsMore: () => this.#wantsMore(),
      });
      this.#fetcher.turn();
    } catch (error) {
      this.#throwFailure();
      throw error;
    }
  }

  /** The next batch; undefined at the end, or once the consumer is closed. */
  async #next(): Promise<FetchedBatch | undefined> {
    try {
      if (this.#fetcher === undefined && !this.#closing.signal.aborted) await this.#started();
      for (;;) {
        const pending = this.#take();
        if (pending !== undefined) return this.#read(pending);
        this.#throwFailure();
        if (this.#closing.signal.aborted) return undefined;
        if (this.#fetcher?.atEnd === true) {
          await this.close();
          return undefined;
        }
        this.#waiting ??= new Deferred();
        await this.#waiting.promise;
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #started(): Promise<void> {
    try {
      await raceAbort(this.start(), this.#closing.signal);
    } catch (error) {
      // Closed meanwhile: a quiet end, or the failure that closed it.
      if (this.#closing.signal.aborted) return;
      throw toMillraceError(error);
    }
  }

  #take(): PendingBatch | undefined {
    const pending = this.#queue[this.#head];
    if (pending === undefined) return undefined;
    this.#head += 1;
    this.#queuedBytes -= pending.sizeBytes;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    if (this.#resting && this.#wantsMore()) this.#fetcher?.turn();
    return pending;
  }

  #read(pending: PendingBatch): FetchedBatch {
    const { reader, buffer, position, fromOffset, highWatermark } = pending;
    const { topic, partition } = reader;
    const origin = { topic, partition, fromOffset, highWatermark };
    return FetchedBatch.read(buffer, position, origin, this.#options.checkCrc);
  }

  #onBatches(batches: readonly PendingBatch[]): void {
    if (this.#closing.signal.aborted) return;
    for (const batch of batches) {
      this.#queue.push(batch);
      this.#queuedBytes += batch.sizeBytes;
    }
    this.#wake();
  }

  #wantsMore(): boolean {
    const { prefetchBytes } = this.#options;
    if (this.#queuedBytes >= prefetchBytes) this.#resting = true;
    else if (this.#queuedBytes * 2 <= prefetchBytes) this.#resting = false;
    return !this.#resting;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #wake(): void {
    this.#waiting?.resolve(undefined);
    this.#waiting = undefined;
  }
}

/** Hands out the messages of batch after batch; calls that overlap are served in order. */
class MessageIterator implements AsyncIterator<Message, undefined> {
  readonly #nextBatch: () => Promise<FetchedBatch | undefined>;
  readonly #close: () => Promise<void>;
  #messages: Iterator<Message> | undefined;
  #tail: Promise<IteratorResult<Message, undefined>> | undefined;

  constructor(nextBatch: () => Promise<FetchedBatch | undefined>, close: () => Promise<void>) {
    this.#nextBatch = nextBatch;
    this.#close = close;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#tail === undefined) {
      try {
        const step = this.#messages?.next();
        if (step !== undefined && step.done !== true) {
          return Promise.resolve({ done: false, value: step.value });
        }
      } catch (error) {
        return this.#endWith(error);
      }
    }
    const tail: Promise<IteratorResult<Message, undefined>> = (
      this.#tail ?? Promise.resolve()
    ).then(() => this.#advance());
    this.#tail = tail;
    const settled = (): void => {
      if (this.#tail === tail) this.#tail = undefined;
    };
    tail.then(settled, settled);
    return tail;
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    this.#messages = undefined;
    await this.#close();
    return { done: true, value: undefined };
  }

  async #advance(): Promise<IteratorResult<Message, undefined>> {
    for (;;) {
      try {
        const step = this.#messages?.next();
        if (step !== undefined && step.done !== true) return { done: false, value: step.value };
      } catch (error) {
        return await this.#endWith(error);
      }
      this.#messages = undefined;
      const batch = await this.#nextBatch();
      if (batch === undefined) return { done: true, value: undefined };
      this.#messages = batch[Symbol.iterator]();
    }
  }

  async #endWith(error: unknown): Promise<never> {
    this.#messages = undefined;
    await this.#close();
    throw error;
  }
}
