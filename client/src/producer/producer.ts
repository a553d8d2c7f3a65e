import type { Cluster } from '../cluster.js';
import {
  BufferFullError,
  ClosedError,
  InvalidArgumentError,
  type MillraceError,
} from '../errors.js';
import type { SignalOption } from '../options.js';
import { throwIfAborted } from '../util/abort.js';
import { Deferred, ignore, raceAbort, settledWithin } from '../util/async.js';
import type { Batch, Delivery } from './batch.js';
import { BatchDelivery, SingleDelivery } from './delivery.js';
import { ProducerTopics, type RefusalListener } from './producer-topics.js';
import { FailureLog } from './failure-log.js';
import { MemoryBudget } from './memory-budget.js';
import {
  checkMessage,
  estimateBytes,
  type CheckedMessage,
  type ProducerMessage,
  type RecordMetadata,
} from './message.js';
import {
  ENQUEUE_HIGH_WATER_BYTES,
  resolveProducerOptions,
  type ProducerOptions,
  type ResolvedProducerOptions,
} from './options.js';
import type { PartitionQueue, QueueContext } from './partition-queue.js';
import { Sender } from './sender.js';
import type { TopicQueues, Unresolved } from './topic-queues.js';
import { WaitingLine } from './waiting-line.js';

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
  readonly #topics: ProducerTopics;
  readonly #stopLearning: () => void;
  readonly #sender: Sender;
  /** Sends that wait for room. */
  readonly #line: WaitingLine;
  readonly #failures: FailureLog;
  #closing: Promise<void> | undefined;
  #closed = false;

  /** Made by `client.producer(options)`. */
  constructor(context: ProducerContext, options: ProducerOptions = {}) {
    this.#context = context;
    this.#options = resolveProducerOptions(options);
    const { bufferBytes, batchBytes, compression, deliveryTimeoutMs, idempotent } = this.#options;
    this.#failures = new FailureLog(this.#options.onError, context.cluster.onEvent);
    this.#budget = new MemoryBudget(bufferBytes, ENQUEUE_HIGH_WATER_BYTES);
    this.#line = new WaitingLine(this.#budget, deliveryTimeoutMs);
    const queueContext: QueueContext = {
      batchBytes,
      compression,
      deliveryTimeoutMs,
      idempotent,
      budget: this.#budget,
      spareBuilders: [],
      onSealed: (queue) => this.#onSealed(queue),
    };
    const refused: RefusalListener = (...args) => this.#onRefused(...args);
    this.#topics = new ProducerTopics(queueContext, this.#options, context.cluster, refused);
    this.#stopLearning = context.cluster.onTopic((route) => this.#topics.learned(route));
    this.#sender = new Sender(context.cluster, this.#options, this.#budget, {
      onSettled: (queue, batch, error) => this.#onSettled(queue, batch, error),
      onTopicFailed: (topic, error) => this.#topics.failed(topic, error),
      onTopicResolved: (topic) => this.#topics.resolved(topic),
      onLoss: (queue, error) => this.#failures.warn(error, queue),
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
      throwIfAborted(signal);
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
    throwIfAborted(signal);
    const given: unknown = messages;
    if (!Array.isArray(given)) {
      throw new InvalidArgumentError('sendBatch(topic, messages): the second is no array');
    }
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
   *   MessageTooLargeError, InvalidArgumentError; UnknownTopicError for a wrong partition, and for
   *   a topic that was found missing less than a second ago.
   */
  enqueue(topic: string, message: ProducerMessage): boolean {
    const checked = this.#check(topic, message);
    const topicQueues = this.#topics.forMessage(topic);
    const estimate = estimateBytes(checked.key, checked.value, checked.headers);
    if (!this.#budget.fits(estimate)) {
      this.#sender.drain();
      throw new BufferFullError(
        `The producer holds ${this.#budget.usedBytes} of ${this.#budget.limitBytes} bytes: when ` +
          'enqueue() answers false, `await producer.ready()` before the next one',
        { topic },
      );
    }
    this.#accept(topicQueues, checked, undefined, estimate);
    return this.#budget.hasRoom && topicQueues.unresolved.length === 0;
  }

  /** Resolves when `enqueue` is welcome again: at once when it is. */
  async ready({ signal }: SignalOption = {}): Promise<void> {
    if (this.#closed) throw new ClosedError('The producer is closed');
    while (!this.#isReady()) {
      if (this.#budget.isPressed) this.#sender.drain();
      const change = new Deferred<undefined>();
      const wake = (): void => change.resolve(undefined);
      const leaveBudget = this.#budget.onceRoom(wake);
      const leaveTopics = this.#topics.onceResolved(wake);
      try {
        await raceAbort(change.promise, signal);
      } finally {
        leaveBudget();
        leaveTopics();
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
    this.#failures.throwFirst();
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
    this.#line.dismiss(error);
    this.#sender.stop(error);
    this.#topics.wake();
    this.#stopLearning();
    this.#context.onClosed(this);
    if (this.#options.onError === undefined) this.#failures.throwFirst();
  }

  #isReady(): boolean {
    return this.#closed || (this.#budget.hasRoom && !this.#topics.hasUnresolved);
  }

  #check(topic: string, message: ProducerMessage): CheckedMessage {
    if (this.#closed) throw new ClosedError('The producer is closed');
    return checkMessage(topic, message, this.#options.maxMessageBytes);
  }

  #submit(
    topic: string,
    message: CheckedMessage,
    delivery: Delivery,
    onWaiting: (leave: () => boolean) => void,
  ): void {
    const bound = estimateBytes(message.key, message.value, message.headers);
    const estimate = Math.min(bound, this.#options.bufferBytes);
    const topicQueues = this.#topics.forMessage(topic);
    if (this.#budget.fits(estimate)) {
      this.#accept(topicQueues, message, delivery, estimate);
      return;
    }
    const leave = this.#line.join(topicQueues, estimate, delivery, () => {
      this.#accept(topicQueues, message, delivery, estimate);
    });
    onWaiting(leave);
    this.#sender.drain();
  }

  #accept(
    topic: TopicQueues,
    message: CheckedMessage,
    delivery: Delivery | undefined,
    estimate: number,
  ): void {
    this.#topics.accept(topic, message, delivery, estimate);
    this.#sender.activate(topic);
  }

  #onSealed(queue: PartitionQueue): void {
    this.#topics.get(queue.topic).advanceSticky(queue.partition);
    this.#sender.drain();
  }

  #onSettled(queue: PartitionQueue, batch: Batch, error: MillraceError | undefined): void {
    if (error !== undefined && batch.enqueuedCount > 0) {
      const { topic, partition } = queue;
      this.#failures.report(error, { topic, partition, messageCount: batch.enqueuedCount });
    }
    for (const listener of batch.onSettled) listener();
  }

  #onRefused(topic: string, { message, delivery }: Unresolved, error: MillraceError): void {
    const { partition } = message;
    if (delivery === undefined) this.#failures.report(error, { topic, partition, messageCount: 1 });
    else delivery.failed(error);
  }

  /** Resolves when everything that was taken before the call is settled. */
  async #allSettled(): Promise<void> {
    if (this.#budget.waiting > 0) {
      // A place in the line of its own comes up when all before it are let in.
      const turn = new Deferred<undefined>();
      this.#budget.wait(0, () => turn.resolve(undefined));
      this.#sender.drain();
      await turn.promise;
    }
    while (this.#topics.hasUnresolved) {
      const resolved = new Deferred<undefined>();
      this.#topics.onceResolved(() => resolved.resolve(undefined));
      this.#sender.drain();
      await resolved.promise;
    }
    const settled = this.#topics.settled();
    this.#sender.drain();
    await settled;
  }
}
