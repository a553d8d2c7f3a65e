import { RecordBatchBuilder } from '@millrace/protocol';
import type { Cluster } from '../cluster.js';
import {
  BufferFullError,
  ClosedError,
  DeliveryError,
  InvalidArgumentError,
  MessageTooLargeError,
  type MillraceError,
} from '../errors.js';
import { abortReason, Deferred, ignore, raceAbort, settledWithin } from '../util/async.js';
import type { Batch, Delivery } from './batch.js';
import { BatchDelivery, SingleDelivery } from './delivery.js';
import { MemoryBudget } from './memory-budget.js';
import {
  checkBytes,
  checkHeaders,
  checkTimestamp,
  contentBytes,
  estimateBytes,
  ownedCopy,
  type CheckedMessage,
  type ProducerMessage,
  type RecordMetadata,
} from './message.js';
import {
  ENQUEUE_HIGH_WATER_BYTES,
  resolveProducerOptions,
  type DeliveryFailure,
  type ProducerOptions,
  type ResolvedProducerOptions,
} from './options.js';
import type { PartitionQueue, QueueContext } from './partition-queue.js';
import { Sender } from './sender.js';
import { TopicQueues } from './topic-queues.js';

/** How one call may be cut short. */
export interface SignalOption {
  /** Aborting makes the call reject with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a producer needs from its client. */
export interface ProducerContext {
  readonly cluster: Cluster;
  readonly closeTimeoutMs: number;
  readonly onClosed: (producer: Producer) => void;
}

/**
 * Sends messages, gathered into batches per partition.
 *
 * - `send` promises the offset of one message; it waits while the buffer is full.
 * - `enqueue` promises nothing and allocates next to nothing; failures reach `onError` and the
 *   next `flush()`. It answers false when the application should `await ready()` before more,
 *   and throws BufferFullError once `bufferBytes` are taken: memory never grows beyond that.
 *
 * Messages of one partition are stored in the order of the calls.
 */
export class Producer implements AsyncDisposable {
  readonly #context: ProducerContext;
  readonly #options: ResolvedProducerOptions;
  readonly #budget: MemoryBudget;
  readonly #topics = new Map<string, TopicQueues>();
  readonly #queueContext: QueueContext;
  readonly #sender: Sender;
  /** Sends that wait for room. */
  readonly #waiting = new Set<(error: ClosedError) => void>();
  /** Woken when a topic was looked up, or could not be. */
  readonly #resolvedListeners = new Set<() => void>();
  #failure: { error: MillraceError; count: number } | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;

  /** Made by `client.producer(options)`. */
  constructor(context: ProducerContext, options: ProducerOptions = {}) {
    this.#context = context;
    this.#options = resolveProducerOptions(options);
    const { bufferBytes, batchBytes, compression, deliveryTimeoutMs, idempotent } = this.#options;
    probeCompression(this.#options);
    this.#budget = new MemoryBudget(bufferBytes, ENQUEUE_HIGH_WATER_BYTES);
    this.#queueContext = {
      batchBytes,
      compression,
      deliveryTimeoutMs,
      idempotent,
      budget: this.#budget,
      spareBuilders: [],
      onSealed: (queue) => this.#onSealed(queue),
    };
    this.#sender = new Sender(context.cluster, this.#options, this.#budget, {
      onSettled: (queue, batch, error) => this.#onSettled(queue, batch, error),
      onTopicFailed: (topic, error) => this.#onTopicFailed(topic, error),
      onTopicResolved: (topic) => this.#onTopicResolved(topic),
      onWarning: (error, queue) => this.#onWarning(error, queue),
    });
  }

  /** Bytes held for messages that are not yet acknowledged; at most `bufferBytes`. */
  get bufferedBytes(): number {
    return this.#budget.usedBytes;
  }

  /**
   * Sends one message and waits until it is stored as `acks` asks.
   *
   * Aborting takes back a message that still waits for room in the buffer; one that is on its way
   * may be stored nevertheless, although the promise is rejected.
   *
   * @throws MessageTooLargeError, UnknownTopicError, DeliveryError (with the broker's error as
   *   its cause) when it was refused or not delivered within `deliveryTimeoutMs`, ClosedError,
   *   InvalidArgumentError; the signal's reason.
   */
  send(
    topic: string,
    message: ProducerMessage,
    { signal }: SignalOption = {},
  ): Promise<RecordMetadata> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) throw abortReason(signal);
      const checked = this.#check(topic, message);
      const delivery = new SingleDelivery(resolve, reject, signal);
      this.#submit(topic, checked, delivery, (leave) => delivery.onAbort(leave));
    });
  }

  /**
   * Sends several messages and waits for all. They are not atomic: when it rejects (with the
   * first failure, after every message is settled), some may have been stored.
   *
   * @throws as {@link send}
   */
  async sendBatch(
    topic: string,
    messages: readonly ProducerMessage[],
    { signal }: SignalOption = {},
  ): Promise<RecordMetadata[]> {
    if (signal?.aborted === true) throw abortReason(signal);
    const checked = messages.map((message) => this.#check(topic, message));
    const delivery = new BatchDelivery(checked.length);
    for (const [index, message] of checked.entries()) {
      this.#submit(topic, message, delivery.slot(index), ignore);
    }
    return raceAbort(delivery.promise, signal);
  }

  /**
   * Takes one message without a promise for it.
   *
   * @returns false when the application should `await ready()` before it goes on, as with the
   *   `write` of a stream; the message was taken all the same.
   * @throws BufferFullError when `bufferBytes` are taken (the message was not); ClosedError,
   *   MessageTooLargeError, InvalidArgumentError, UnknownTopicError.
   */
  enqueue(topic: string, message: ProducerMessage): boolean {
    const checked = this.#check(topic, message);
    const estimate = estimateBytes(checked.key, checked.value, checked.headers);
    if (!this.#budget.fits(estimate)) {
      this.#sender.drain();
      throw new BufferFullError(
        `The producer holds ${this.#budget.usedBytes} of ${this.#budget.limitBytes} bytes: when ` +
          'enqueue() answers false, `await producer.ready()` before the next one',
        { topic },
      );
    }
    const topicQueues = this.#topic(topic);
    this.#accept(topicQueues, checked, undefined, estimate);
    return this.#budget.hasRoom && topicQueues.unresolved.length === 0;
  }

  /** Resolves when `enqueue` is welcome again: at once when it is. */
  async ready({ signal }: SignalOption = {}): Promise<void> {
    this.#assertOpen();
    for (;;) {
      const unresolved = [...this.#topics.values()].some((topic) => topic.unresolved.length > 0);
      if (this.#closed || (this.#budget.hasRoom && !unresolved)) return;
      if (this.#budget.isFull) this.#sender.drain();
      const room = new Deferred<undefined>();
      const wake = (): void => room.resolve(undefined);
      const leave = this.#budget.onceRoom(wake);
      if (unresolved) this.#resolvedListeners.add(wake);
      try {
        await raceAbort(room.promise, signal);
      } finally {
        leave();
        this.#resolvedListeners.delete(wake);
      }
    }
  }

  /**
   * Sends everything taken so far without lingering, and waits until all of it is settled.
   *
   * @throws the first error of an enqueued message since the last flush, after everything is
   *   settled; the signal's reason. Errors of `send` reach their own promises only.
   */
  async flush({ signal }: SignalOption = {}): Promise<void> {
    this.#sender.beginFlush();
    try {
      await raceAbort(this.#allSettled(), signal);
    } finally {
      this.#sender.endFlush();
    }
    this.#throwFailure();
  }

  /**
   * Flushes within the client's `closeTimeoutMs`, gives up what is left, and ends. Calling it
   * again waits for the same end.
   *
   * @throws as {@link flush}, and DeliveryError for enqueued messages that were given up, after
   *   the end; with an `onError` it does not throw for what that was told.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closed = true;
    this.#sender.beginFlush();
    const settled = this.#allSettled();
    settled.catch(ignore);
    await settledWithin(settled, this.#context.closeTimeoutMs);
    const error = new ClosedError('The producer was closed before the message was delivered');
    for (const fail of [...this.#waiting]) fail(error);
    this.#sender.stop(error);
    for (const wake of this.#resolvedListeners) wake();
    this.#context.onClosed(this);
    if (this.#options.onError === undefined) this.#throwFailure();
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('The producer is closed');
  }

  #check(topic: string, message: ProducerMessage): CheckedMessage {
    this.#assertOpen();
    const { key = null, value, headers, partition, timestampMs } = message;
    checkBytes('value', value);
    checkBytes('key', key);
    const checked = {
      key,
      value,
      headers: headers === undefined ? null : checkHeaders(headers),
      partition,
      timestampMs: timestampMs === undefined ? Date.now() : checkTimestamp(timestampMs),
    };
    const { maxMessageBytes } = this.#options;
    const suspect = estimateBytes(key, value, checked.headers) > maxMessageBytes;
    if (suspect && contentBytes(checked) > maxMessageBytes) {
      throw new MessageTooLargeError(
        `A message of ${contentBytes(checked)} bytes for "${topic}" is larger than ` +
          `maxMessageBytes (${maxMessageBytes})`,
        { topic },
      );
    }
    return checked;
  }

  #submit(
    topic: string,
    message: CheckedMessage,
    delivery: Delivery,
    onWaiting: (leave: () => boolean) => void,
  ): void {
    const estimate = Math.min(
      estimateBytes(message.key, message.value, message.headers),
      this.#options.bufferBytes,
    );
    const topicQueues = this.#topic(topic);
    if (this.#budget.fits(estimate)) {
      this.#accept(topicQueues, message, delivery, estimate);
      return;
    }
    const { deliveryTimeoutMs } = this.#options;
    const timer = setTimeout(() => {
      if (leave()) {
        delivery.failed(
          new DeliveryError(
            `1 message for ${topic} not delivered: no room in the producer's buffer within the ` +
              `delivery timeout of ${deliveryTimeoutMs} ms`,
            { topic, attempts: 0, messageCount: 1, cause: topicQueues.lastError },
          ),
        );
      }
    }, deliveryTimeoutMs);
    const leaveLine = this.#budget.wait(estimate, () => {
      clearTimeout(timer);
      this.#waiting.delete(fail);
      try {
        this.#accept(topicQueues, message, delivery, estimate);
      } catch (error) {
        delivery.failed(error as MillraceError);
      }
    });
    const leave = (): boolean => {
      clearTimeout(timer);
      this.#waiting.delete(fail);
      return leaveLine();
    };
    const fail = (error: ClosedError): void => {
      if (leave()) delivery.failed(error);
    };
    this.#waiting.add(fail);
    onWaiting(leave);
    this.#sender.drain();
  }

  #accept(
    topic: TopicQueues,
    message: CheckedMessage,
    delivery: Delivery | undefined,
    estimate: number,
  ): void {
    const { route } = topic;
    if (route === undefined || topic.unresolved.length > 0) {
      const deadlineMs = performance.now() + this.#options.deliveryTimeoutMs;
      this.#budget.charge(estimate);
      topic.unresolved.push({ message: ownedCopy(message), delivery, bytes: estimate, deadlineMs });
    } else {
      topic.queueFor(route, message).append(message, delivery, estimate);
    }
    this.#sender.activate(topic);
  }

  #topic(name: string): TopicQueues {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new TopicQueues(name, this.#queueContext, this.#options.partitioner);
      this.#topics.set(name, topic);
    }
    return topic;
  }

  #onSealed(queue: PartitionQueue): void {
    const topic = this.#topics.get(queue.topic);
    if (topic === undefined) return;
    topic.advanceSticky(queue.partition);
    this.#sender.activate(topic);
    this.#sender.drain();
  }

  #onTopicResolved(topic: TopicQueues): void {
    const { route } = topic;
    if (route === undefined) return;
    for (const { message, delivery, bytes } of topic.unresolved.splice(0)) {
      try {
        const estimate = estimateBytes(message.key, message.value, message.headers);
        topic.queueFor(route, message).append(message, delivery, estimate);
      } catch (error) {
        this.#fail(topic.name, message.partition, delivery, error as MillraceError);
      }
      this.#budget.refund(bytes);
    }
    this.#wakeReady();
  }

  #onTopicFailed(topic: TopicQueues, error: MillraceError): void {
    for (const { message, delivery, bytes } of topic.unresolved.splice(0)) {
      this.#budget.refund(bytes);
      this.#fail(topic.name, message.partition, delivery, error);
    }
    this.#wakeReady();
  }

  #wakeReady(): void {
    for (const wake of [...this.#resolvedListeners]) wake();
  }

  #onSettled(queue: PartitionQueue, batch: Batch, error: MillraceError | undefined): void {
    if (error !== undefined && batch.enqueuedCount > 0) {
      const { topic, partition } = queue;
      this.#report(error, { topic, partition, messageCount: batch.enqueuedCount });
    }
    for (const listener of batch.onSettled) listener();
  }

  #fail(
    topic: string,
    partition: number | undefined,
    delivery: Delivery | undefined,
    error: MillraceError,
  ): void {
    if (delivery === undefined) this.#report(error, { topic, partition, messageCount: 1 });
    else delivery.failed(error);
  }

  #report(error: MillraceError, failure: DeliveryFailure): void {
    this.#failure ??= { error, count: 0 };
    this.#failure.count += failure.messageCount;
    this.#tell(error, failure);
  }

  /** A loss is told in three ways, for nothing else will fail because of it. */
  #onWarning(error: MillraceError, queue: PartitionQueue): void {
    const { topic, partition } = queue;
    this.#context.cluster.onEvent({ type: 'warning', error });
    if (this.#options.onError === undefined) process.emitWarning(error);
    else this.#tell(error, { topic, partition, messageCount: 0 });
  }

  #tell(error: MillraceError, failure: DeliveryFailure): void {
    const { onError } = this.#options;
    if (onError === undefined) return;
    // What the application throws there is its own and must not stop the deliveries.
    queueMicrotask(() => onError(error, failure));
  }

  /** Resolves when everything that was taken before the call is settled. */
  async #allSettled(): Promise<void> {
    while (this.#budget.waiting > 0 || this.#hasUnresolved()) {
      const changed = new Deferred<undefined>();
      const wake = (): void => changed.resolve(undefined);
      const leave = this.#budget.onceRoom(wake);
      this.#resolvedListeners.add(wake);
      this.#sender.drain();
      await changed.promise;
      leave();
      this.#resolvedListeners.delete(wake);
    }
    this.#sender.drain();
    const all: Promise<void>[] = [];
    for (const topic of this.#topics.values()) {
      for (const queue of topic.queues) {
        if (queue.openedMs !== undefined) queue.seal();
        for (const batch of [...queue.inFlight, ...queue.waiting]) {
          all.push(new Promise((resolve) => batch.onSettled.push(resolve)));
        }
      }
    }
    this.#sender.drain();
    await Promise.all(all);
  }

  #hasUnresolved(): boolean {
    for (const topic of this.#topics.values()) if (topic.unresolved.length > 0) return true;
    return false;
  }
}

/** Finds out at once, and not with the first full batch, that a codec's library does not load. */
function probeCompression({ compression }: ResolvedProducerOptions): void {
  if (compression === 'none') return;
  try {
    const builder = new RecordBatchBuilder({ compression });
    builder.append(null, compression, null, 0);
    builder.build();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError(`compression "${compression}" is not available: ${reason}`, {
      cause,
    });
  }
}
