import { Admin } from './admin.js';
import { Cluster } from './cluster.js';
import { Consumer } from './consumer/consumer.js';
import type { ConsumerOptions } from './consumer/options.js';
import { ClosedError } from './errors.js';
import { safeListener } from './events.js';
import { ConnectionPool } from './net/connection-pool.js';
import {
  resolveClientOptions,
  type ClientOptions,
  type ResolvedClientOptions,
  type SignalOption,
} from './options.js';
import type { ProducerOptions } from './producer/options.js';
import { Producer } from './producer/producer.js';
import type { BackoffOptions } from './util/backoff.js';

/** Waits between the retries of metadata, admin and fetch requests. */
const RETRY_BACKOFF: BackoffOptions = { initialMs: 50, maximumMs: 2_000 };

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
  readonly #pool: ConnectionPool;
  readonly #cluster: Cluster;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<Consumer>();
  #closing: Promise<void> | undefined;

  /** @throws InvalidArgumentError that names the option and what it takes. */
  constructor(options: ClientOptions) {
    this.#options = resolveClientOptions(options);
    const { clientId, connectTimeoutMs, reconnectBackoff, requestTimeoutMs } = this.#options;
    const onEvent = safeListener(this.#options.onEvent);
    this.#pool = new ConnectionPool({ clientId, connectTimeoutMs, reconnectBackoff, onEvent });
    this.#cluster = new Cluster(this.#pool, {
      brokers: this.#options.brokers,
      requestTimeoutMs,
      retryBackoff: RETRY_BACKOFF,
      onEvent,
    });
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

  /** @throws InvalidArgumentError, ClosedError */
  consumer(options: ConsumerOptions): Consumer {
    this.#assertOpen();
    const consumer = new Consumer(
      { cluster: this.#cluster, onClosed: (closed) => void this.#consumers.delete(closed) },
      options,
    );
    this.#consumers.add(consumer);
    return consumer;
  }

  /**
   * Closes consumers, flushes and closes producers (within `closeTimeoutMs`), then the
   * connections. Ends in bounded time even when no broker is there.
   *
   * @throws the errors of enqueued messages that nobody was told of, after everything is closed.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    const results = await Promise.allSettled(
      [...this.#producers].map((producer) => producer.close()),
    );
    this.#pool.close();
    const errors = results.flatMap((result): unknown[] =>
      result.status === 'rejected' ? [result.reason] : [],
    );
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, 'Some messages were not delivered');
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError('The client is closed');
  }
}
