import type { Cluster, TopicRoute } from '../cluster.js';
import type { MillraceError } from '../errors.js';
import { onAbort } from '../util/abort.js';
import {
  resolveConsumerOptions,
  type ConsumerOptions,
  type ResolvedConsumerOptions,
} from './options.js';
import { PartitionReader } from './partition-reader.js';
import { startOffsets, startReaders } from './start-offsets.js';
import { StreamConsumer } from './stream-consumer.js';

/** What a consumer needs from its client. */
export interface ConsumerContext {
  readonly cluster: Cluster;
  readonly onClosed: (consumer: Consumer) => void;
}

/**
 * Reads partitions from a given position on, message by message or batch by batch, and stores
 * nothing: several such consumers each get every message. Messages of a partition come in the
 * order of their offsets; offsets may have gaps. Connection failures and restarts of the broker
 * are retried for as long as it takes (`onEvent` of the client tells of them); other errors are
 * thrown from the iteration, after everything that came before them. Partitions that are added to
 * a topic later are read from their beginning.
 *
 * It can be iterated once. Leaving the loop, for whatever reason, closes the consumer.
 */
export class Consumer extends StreamConsumer {
  readonly #context: ConsumerContext;
  readonly #options: ResolvedConsumerOptions;
  /** How many partitions of each topic are taken into account. */
  readonly #partitionCounts = new Map<string, number>();
  #starting: Promise<void> | undefined;

  /** Made by `client.consumer(options)`. */
  constructor(context: ConsumerContext, options: ConsumerOptions) {
    const resolved = resolveConsumerOptions(options);
    super(context.cluster, resolved);
    this.#context = context;
    this.#options = resolved;
    this.endWith(resolved.signal);
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

  /** Ends the iteration quietly and drops what was prefetched. Idempotent. */
  close(): Promise<void> {
    if (!this.closing.signal.aborted) {
      this.end('The consumer was closed');
      this.#context.onClosed(this);
    }
    return Promise.resolve();
  }

  protected onTopicGone(error: MillraceError): void {
    this.stream.fail(error);
  }

  async #start(): Promise<void> {
    const { cluster } = this.#context;
    const { signal } = this.closing;
    this.stream.throwFailure();
    const limits = { signal, retryForMs: Infinity };
    try {
      const readers = await startReaders(cluster, this.#options, limits);
      this.stream.assign(readers);
      this.#watch(readers);
    } catch (error) {
      // Nothing of it stays behind; its iteration throws the same.
      if (!signal.aborted) this.stream.fail(error);
      await this.close();
      this.stream.throwFailure();
      throw error;
    }
  }

  /** Picks up partitions that are added, where all of a topic are read. */
  #watch(readers: readonly PartitionReader[]): void {
    const { partitions, exitAtEnd } = this.#options;
    if (partitions !== undefined || exitAtEnd) return;
    for (const { topic, partition } of readers) {
      const count = this.#partitionCounts.get(topic) ?? 0;
      this.#partitionCounts.set(topic, Math.max(count, partition + 1));
    }
    onAbort(
      this.closing.signal,
      this.#context.cluster.onTopic((route) => this.#onTopic(route)),
    );
  }

  #onTopic({ name, topicId, partitions }: TopicRoute): void {
    const known = this.#partitionCounts.get(name);
    if (known === undefined || partitions.length <= known) return;
    if (this.stream.reader(name, 0)?.topicId !== topicId) return;
    this.#partitionCounts.set(name, partitions.length);
    const added = partitions
      .slice(known)
      .map((_, index) => ({ topic: name, partition: known + index }));
    const limits = { signal: this.closing.signal, retryForMs: Infinity };
    startOffsets(this.#context.cluster, added, 'beginning', limits)
      .then((offsets) => {
        this.stream.assign(
          added.map(
            ({ topic, partition }, index) =>
              new PartitionReader(topic, topicId, partition, offsets[index] ?? 0),
          ),
        );
      })
      .catch((error: unknown) => {
        if (!this.closing.signal.aborted) this.stream.fail(error);
      });
  }
}
