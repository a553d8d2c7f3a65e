import type { Cluster } from '../cluster.js';
import type { MillraceError } from '../errors.js';
import { Deferred } from '../util/async.js';
import type { StreamOptions } from './fetch-options.js';
import { Fetcher } from './fetcher.js';
import type { PartitionReader, PendingBatch } from './partition-reader.js';
import { PrefetchQueue } from './prefetch-queue.js';

/** What a stream tells its consumer. */
export interface StreamCallbacks {
  /**
   * Nothing more may be given out of the batch that the application is in, if it is one of these
   * readers'.
   *
   * @returns the rest of it.
   */
  readonly onCut: (readers: ReadonlySet<PartitionReader>) => PendingBatch | undefined;
  /** The topic was deleted, or deleted and made again. */
  readonly onTopicGone: (error: MillraceError) => void;
}

/**
 * Batches of partitions that come and go. Of each partition they come in order; what is given up,
 * paused or jumped over is not given out any more from that call on, whether it was prefetched or
 * is still on its way.
 */
export class PartitionStream {
  readonly #callbacks: StreamCallbacks;
  readonly #readers = new Set<PartitionReader>();
  readonly #byName = new Map<string, PartitionReader>();
  readonly #queue: PrefetchQueue;
  readonly #fetcher: Fetcher;
  #stopped = false;
  #waiting: Deferred<undefined> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param signal ends what is under way; {@link stop} belongs to it */
  constructor(
    cluster: Cluster,
    options: StreamOptions,
    signal: AbortSignal,
    callbacks: StreamCallbacks,
  ) {
    this.#callbacks = callbacks;
    this.#queue = new PrefetchQueue(options.prefetchBytes);
    this.#fetcher = new Fetcher(cluster, options, this.#readers, signal, {
      onBatches: (reader, batches) => this.#onBatches(reader, batches),
      onReset: (reader, offset) => this.#onReset(reader, offset),
      onTopicGone: (readers, error) => this.#onTopicGone(readers, error),
      onFailed: (error) => this.fail(error),
      onProgress: () => this.wake(),
      wantsMore: () => !this.#stopped && !this.#queue.isResting(),
    });
  }

  /** The partitions that are assigned, in the order in which they came. */
  get readers(): ReadonlySet<PartitionReader> {
    return this.#readers;
  }

  /** True when every partition was read to where the broker had nothing more. */
  get atEnd(): boolean {
    for (const reader of this.#readers) if (!reader.atEnd) return false;
    return true;
  }

  reader(topic: string, partition: number): PartitionReader | undefined {
    return this.#byName.get(nameOf(topic, partition));
  }

  /** Takes partitions on; those that are `held` are fetched after {@link release}. */
  assign(readers: Iterable<PartitionReader>): void {
    for (const reader of readers) {
      this.#readers.add(reader);
      this.#byName.set(nameOf(reader.topic, reader.partition), reader);
    }
    this.#fetcher.turn();
  }

  release(readers: Iterable<PartitionReader>): void {
    for (const reader of readers) reader.held = false;
    this.#fetcher.turn();
  }

  /** Gives partitions up, and what was fetched of them. */
  unassign(readers: ReadonlySet<PartitionReader>): void {
    for (const reader of readers) {
      reader.abandon();
      this.#readers.delete(reader);
      const name = nameOf(reader.topic, reader.partition);
      if (this.#byName.get(name) === reader) this.#byName.delete(name);
    }
    this.#queue.drop(readers);
    this.#callbacks.onCut(readers);
    this.#fetcher.turn();
    this.wake();
  }

  /** Goes on at the offset. */
  seek(reader: PartitionReader, offset: number): void {
    const only = new Set([reader]);
    this.#queue.drop(only);
    this.#callbacks.onCut(only);
    reader.jump(offset);
    this.#fetcher.turn();
    this.wake();
  }

  /** What is prefetched is kept, but not given out before {@link resume}. */
  pause(reader: PartitionReader): void {
    if (reader.paused) return;
    reader.paused = true;
    this.#queue.pause(reader, this.#callbacks.onCut(new Set([reader])));
    this.#fetcher.turn();
  }

  resume(reader: PartitionReader): void {
    if (!reader.paused) return;
    reader.paused = false;
    reader.urgent = true;
    this.#queue.resume(reader);
    this.#fetcher.turn();
    this.wake();
  }

  /** Those whose topic was gone are looked for once more, for their owner still has them. */
  revive(): void {
    for (const reader of this.#readers) reader.gone = false;
    this.#fetcher.turn();
  }

  take(): PendingBatch | undefined {
    const wasResting = this.#queue.isResting();
    const pending = this.#queue.take();
    if (pending !== undefined && wasResting && !this.#queue.isResting()) this.#fetcher.turn();
    return pending;
  }

  /** Until there is something to take, or something else to look at. */
  async wait(): Promise<void> {
    this.#waiting ??= new Deferred();
    await this.#waiting.promise;
  }

  wake(): void {
    this.#waiting?.resolve(undefined);
    this.#waiting = undefined;
  }

  /** The first failure stays; it is thrown by {@link throwFailure}. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.wake();
  }

  /** @throws what it failed with. */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Drops everything that was fetched, and takes nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#queue.clear();
    this.wake();
  }

  #onBatches(reader: PartitionReader, batches: readonly PendingBatch[]): void {
    if (this.#stopped) return;
    this.#queue.push(reader, batches);
    this.wake();
  }

  #onReset(reader: PartitionReader, offset: number): void {
    reader.fetchOffset = offset;
    reader.resetting = false;
    if (!this.#queue.holds(reader)) reader.setPosition(offset);
  }

  #onTopicGone(readers: readonly PartitionReader[], error: MillraceError): void {
    for (const reader of readers) reader.gone = true;
    this.#callbacks.onTopicGone(error);
  }
}

function nameOf(topic: string, partition: number): string {
  return `${topic} ${partition}`;
}
