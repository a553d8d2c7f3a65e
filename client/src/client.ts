import { Admin } from './admin.js';
import type { Cluster } from './cluster.js';
import { Consumer } from './consumer/consumer.js';
import { GroupConsumer } from './consumer/group-consumer.js';
import type { GroupConsumerOptions } from './consumer/group-options.js';
import type { ConsumerOptions } from './consumer/options.js';
import { ClosedError } from './errors.js';
import { openCluster } from './open-cluster.js';
import {
  resolveClientOptions,
  type ClientOptions,
  type ResolvedClientOptions,
  type SignalOption,
} from './options.js';
import type { ProducerOptions } from './producer/options.js';
import { Producer } from './producer/producer.js';

/**
 * A client of a millrace cluster. Makes producers, consumers and the admin, which share its
 * connections. Nothing is dialled before it is needed; an open connection keeps the process alive
 * until `close()`.
 *
 * ```ts
 * await using client = new Millrace({ brokers: ['127.0.0.1:7070'], clientId: 'shop' });
 * ```
 */
export class Millrace implements AsyncDisposable {
  /** Topics: create, delete, list, describe, offsets. */
  readonly admin: Admin;
  readonly #options: ResolvedClientOptions;
  readonly #cluster: Cluster;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<Consumer | GroupConsumer>();
  #closing: Promise<void> | undefined;

  /** @throws InvalidArgumentError that names the option and what it takes. */
  constructor(options: ClientOptions) {
    this.#options = resolveClientOptions(options);
    this.#cluster = openCluster(this.#options);
    this.admin = new Admin(this.#cluster);
  }

  /**
   * Makes sure that a broker answers: one attempt for each of `brokers`. Not needed before other
   * calls, which connect by themselves and retry.
   *
   * @throws ConnectionError, NotMillraceError, UnsupportedVersionError; the signal's reason.
   */
  async connect({ signal }: SignalOption = {}): Promise<void> {
    await this.#cluster.anyConnection(signal);
  }

  /** @throws InvalidArgumentError, ClosedError */
  producer(options: ProducerOptions = {}): Producer {
    this.#assertOpen();
    const producer = new Producer(
      {
        cluster: this.#cluster,
        closeTimeoutMs: this.#options.closeTimeoutMs,
        onClosed: (closed) => void this.#producers.delete(closed),
      },
      options,
    );
    this.#producers.add(producer);
    return producer;
  }

  /**
   * With `group` a consumer that shares its topics with the other members of the group, and goes
   * on where the group has committed; without, one that reads everything and stores nothing.
   *
   * ```ts
   * for await (const message of client.consumer({ group: 'billing', topics: ['orders'] })) …
   * ```
   *
   * @throws InvalidArgumentError, ClosedError
   */
  consumer(options: GroupConsumerOptions): GroupConsumer;
  consumer(options: ConsumerOptions): Consumer;
  consumer(options: GroupConsumerOptions | ConsumerOptions): GroupConsumer | Consumer {
    this.#assertOpen();
    const context = {
      cluster: this.#cluster,
      closeTimeoutMs: this.#options.closeTimeoutMs,
      onClosed: (closed: GroupConsumer | Consumer) => void this.#consumers.delete(closed),
    };
    const consumer = isForGroup(options)
      ? new GroupConsumer(context, options)
      : new Consumer(context, options);
    this.#consumers.add(consumer);
    return consumer;
  }

  /**
   * Closes consumers (those of groups commit and leave) and flushes and closes producers, each
   * within `closeTimeoutMs`, then the connections. Ends in bounded time even when no broker is
   * there.
   *
   * @throws the errors of enqueued messages that nobody was told of and of hooks, after everything
   *   is closed.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    // Consumers first: their hooks may produce.
    const results = [
      ...(await Promise.allSettled([...this.#consumers].map((consumer) => consumer.close()))),
      ...(await Promise.allSettled([...this.#producers].map((producer) => producer.close()))),
    ];
    this.#cluster.pool.close();
    const errors = results.flatMap((result): unknown[] =>
      result.status === 'rejected' ? [result.reason] : [],
    );
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, 'Not everything was closed cleanly');
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError('The client is closed');
  }
}

function isForGroup(
  options: GroupConsumerOptions | ConsumerOptions,
): options is GroupConsumerOptions {
  // Whoever comes from JavaScript may give anything; the consumer says what is wrong with it.
  return typeof options === 'object' && (options as unknown) !== null && 'group' in options;
}
