import { produceApi, type ProduceResponse } from '@millrace/protocol';
import { doubtsMetadata, type Cluster } from '../cluster.js';
import { ClosedError, ConnectionError, toMillraceError, type MillraceError } from '../errors.js';
import type { Connection } from '../net/connection.js';
import { backoffMs } from '../util/backoff.js';
import { RetryingTasks } from '../util/retrying-tasks.js';
import type { Batch } from './batch.js';
import { IdentitySource } from './identity.js';
import type { MemoryBudget } from './memory-budget.js';
import { MAX_REQUEST_BYTES, type ResolvedProducerOptions } from './options.js';
import { deliveryFailure, judge } from './outcomes.js';
import type { PartitionQueue } from './partition-queue.js';
import { splitBatch } from './split.js';
import type { TopicQueues } from './topic-queues.js';

/** Longest time between two looks for batches whose delivery timeout is over. */
const MAX_SWEEP_MS = 1_000;

/** What the sender tells the producer. */
export interface SenderCallbacks {
  /** The batch is acknowledged, or has failed with the error; called once per batch. */
  readonly onSettled: (queue: PartitionQueue, batch: Batch, error?: MillraceError) => void;
  /** The topic cannot be produced to, with nothing to wait for. */
  readonly onTopicFailed: (topic: TopicQueues, error: MillraceError) => void;
  /** The topic was looked up. */
  readonly onTopicResolved: (topic: TopicQueues) => void;
  readonly onWarning: (error: MillraceError, queue: PartitionQueue) => void;
}

interface Sent {
  readonly queue: PartitionQueue;
  readonly batch: Batch;
}

/**
 * Brings batches to the leaders of their partitions: looks up what is missing, puts what is ready
 * together into requests, and repeats or gives up what failed. It runs in turns ("drains"): each
 * sends whatever can be sent now, and whatever changes that asks for another.
 */
export class Sender {
  readonly #cluster: Cluster;
  readonly #options: ResolvedProducerOptions;
  readonly #budget: MemoryBudget;
  readonly #callbacks: SenderCallbacks;
  readonly #identity: IdentitySource;
  readonly #closing = new AbortController();
  readonly #tasks: RetryingTasks;
  /** Topics with something to look up or to send. */
  readonly #active = new Set<TopicQueues>();
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;
  #draining = false;
  #flushing = 0;
  #lastSweepMs = 0;

  constructor(
    cluster: Cluster,
    options: ResolvedProducerOptions,
    budget: MemoryBudget,
    callbacks: SenderCallbacks,
  ) {
    this.#cluster = cluster;
    this.#options = options;
    this.#budget = budget;
    this.#callbacks = callbacks;
    this.#identity = new IdentitySource(cluster);
    this.#tasks = new RetryingTasks(options.retryBackoff, this.#closing.signal);
  }

  /** There is something of this topic; it is looked at when the event loop comes round. */
  activate(topic: TopicQueues): void {
    this.#active.add(topic);
    if (this.#immediate !== undefined || this.#closing.signal.aborted) return;
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      this.drain();
    });
  }

  /** From here on open batches do not linger. Undone by {@link endFlush}. */
  beginFlush(): void {
    this.#flushing += 1;
    this.drain();
  }

  endFlush(): void {
    this.#flushing -= 1;
  }

  /** Topics that have something unsettled. */
  get active(): Iterable<TopicQueues> {
    return this.#active;
  }

  /** Gives up everything and stops; nothing is sent afterwards. */
  stop(error: ClosedError): void {
    this.#closing.abort(error);
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    for (const topic of this.#active) {
      for (const queue of topic.queues) {
        queue.seal();
        for (const batch of [...queue.inFlight, ...queue.waiting]) {
          this.#giveUp(queue, batch, error, 'the producer was closed');
        }
      }
      this.#callbacks.onTopicFailed(topic, error);
    }
    this.#active.clear();
  }

  /** Sends what can be sent now. */
  drain(): void {
    if (this.#draining || this.#closing.signal.aborted) return;
    this.#draining = true;
    try {
      const nowMs = performance.now();
      this.#sweep(nowMs);
      while (this.#drainOnce(nowMs));
      this.#rearm(nowMs);
    } finally {
      this.#draining = false;
    }
  }

  /** One batch of each partition that may send; true when another round may find more. */
  #drainOnce(nowMs: number): boolean {
    const requests = new Map<Connection, Sent[]>();
    const sizes = new Map<Connection, number>();
    for (const topic of this.#active) {
      if (topic.route === undefined) this.#lookUp(topic);
      else {
        for (const queue of topic.queues) {
          if (!this.#isReady(topic, queue, nowMs)) continue;
          const connection = this.#connectionFor(topic, queue);
          if (connection === undefined) continue;
          const sizeBytes = (sizes.get(connection) ?? 0) + (queue.waiting[0]?.bytes.length ?? 0);
          const request = requests.get(connection);
          if (request !== undefined && sizeBytes > MAX_REQUEST_BYTES) continue;
          const batch = queue.takeNext(this.#identity.current);
          if (batch === undefined) continue;
          sizes.set(connection, sizeBytes);
          if (request === undefined) requests.set(connection, [{ queue, batch }]);
          else request.push({ queue, batch });
        }
      }
    }
    for (const [connection, sent] of requests) this.#send(connection, sent, nowMs);
    return requests.size > 0;
  }

  /** Whether a batch of the queue may go now; seals the open one when it is due. */
  #isReady(topic: TopicQueues, queue: PartitionQueue, nowMs: number): boolean {
    if (queue.isEmpty || queue.notBeforeMs > nowMs) return false;
    if (queue.inFlight.length >= this.#options.maxInFlight) return false;
    if (queue.inFlight.length > 0 && (queue.recovering || queue.staleIdentity !== undefined)) {
      return false;
    }
    if (queue.waiting.length === 0 && !this.#isDue(queue, nowMs)) return false;
    queue.recovering = false;
    if (this.#options.idempotent && !this.#hasIdentity(queue)) return false;
    if (!topic.adopt(queue, this.#identity.current)) return false;
    if (queue.waiting.length === 0) {
      queue.seal();
      topic.advanceSticky(queue.partition);
    }
    return true;
  }

  #isDue(queue: PartitionQueue, nowMs: number): boolean {
    const { openedMs } = queue;
    if (openedMs === undefined) return false;
    const { lingerMs } = this.#options;
    return this.#flushing > 0 || this.#budget.isFull || openedMs + lingerMs <= nowMs;
  }

  #hasIdentity(queue: PartitionQueue): boolean {
    const stale = queue.staleIdentity;
    const { current } = this.#identity;
    if (current !== undefined && stale === undefined) return true;
    if (current !== undefined && stale !== undefined) {
      const newer =
        current.producerId !== stale.producerId || current.producerEpoch > stale.producerEpoch;
      if (newer) {
        queue.restart(current);
        return true;
      }
    }
    const step = (): Promise<void> =>
      stale === undefined ? this.#identity.acquire() : this.#identity.renew(stale);
    this.#run('producer id', step, (error) => {
      queue.lastError = error;
      if (!error.retriable) this.#failAll(error);
    });
    return false;
  }

  #connectionFor(topic: TopicQueues, queue: PartitionQueue): Connection | undefined {
    const route = this.#cluster.peek(topic.name);
    if (route === undefined || route.topicId !== topic.route?.topicId) {
      this.#lookUp(topic);
      return undefined;
    }
    const leader = route.partitions[queue.partition]?.leader ?? -1;
    const address = this.#cluster.addressOf(leader);
    if (address === undefined) {
      if (queue.partition >= route.partitions.length) {
        const error = topic.noSuchPartition(queue.partition, route.partitions.length);
        this.#failQueue(queue, error, 'the partition does not exist');
      } else {
        this.#cluster.forget(topic.name);
        queue.lastError = new ConnectionError(
          `${topic.name}-${queue.partition} has no leader at present`,
          { topic: topic.name, partition: queue.partition },
        );
        this.#lookUp(topic);
      }
      return undefined;
    }
    const connection = this.#cluster.pool.peek('produce', address);
    if (connection !== undefined) return connection;
    const key = `connect ${address.host} ${address.port}`;
    const step = (): Promise<unknown> => this.#cluster.pool.get('produce', address);
    this.#run(key, step, (error) => {
      queue.lastError = error;
      this.#cluster.forget(topic.name);
      if (!error.retriable) this.#failTopic(topic, error);
    });
    return undefined;
  }

  #lookUp(topic: TopicQueues): void {
    const step = async (): Promise<void> => {
      topic.update(await this.#cluster.topic(topic.name));
      this.#callbacks.onTopicResolved(topic);
    };
    this.#run(`topic ${topic.name}`, step, (error) => {
      topic.lastError = error;
      if (!error.retriable) this.#failTopic(topic, error);
    });
  }

  #run(key: string, step: () => Promise<unknown>, onFailed: (error: MillraceError) => void): void {
    this.#tasks.run(key, step, onFailed, () => this.drain());
  }

  #send(connection: Connection, sent: readonly Sent[], nowMs: number): void {
    const { acks } = this.#options;
    const remainingMs = Math.min(...sent.map(({ batch }) => batch.deadlineMs)) - nowMs;
    const timeoutMs = Math.ceil(Math.min(this.#cluster.requestTimeoutMs, Math.max(remainingMs, 1)));
    const entries = sent.map(({ queue, batch }) => ({
      topicId: queue.topicId,
      partition: queue.partition,
      byteLength: batch.bytes.length,
    }));
    const payload = sent.map(({ batch }) => batch.bytes);
    const request = { acks, timeoutMs, entries };
    const failed = (error: unknown): void => this.#onRequestFailed(sent, toMillraceError(error));
    if (acks === 0) {
      connection
        .sendOneWay(produceApi, request, payload)
        .then(() => this.#onSentOneWay(sent))
        .catch(failed);
      return;
    }
    connection
      .request(produceApi, request, { timeoutMs, payload })
      .then(({ response }) => this.#onResponse(connection.broker, sent, response))
      .catch(failed);
  }

  #onSentOneWay(sent: readonly Sent[]): void {
    for (const { queue, batch } of sent) this.#succeed(queue, batch, -1, -1);
    this.drain();
  }

  #onResponse(broker: string, sent: readonly Sent[], response: ProduceResponse): void {
    const nowMs = performance.now();
    for (const [index, { queue, batch }] of sent.entries()) {
      const result = response.entries[index];
      if (result?.topicId !== queue.topicId || result.partition !== queue.partition) {
        const message = `The produce response of ${broker} does not fit the request`;
        this.#retry(queue, batch, new ConnectionError(message, { broker }), nowMs);
        continue;
      }
      const outcome = judge(queue, batch, result, broker);
      switch (outcome.kind) {
        case 'stored':
          this.#succeed(queue, batch, outcome.metadata.offset, result.logAppendTimeMs);
          break;
        case 'retry':
          this.#retry(queue, batch, outcome.error, nowMs);
          break;
        case 'restart':
          if (outcome.loss !== undefined) this.#callbacks.onWarning(outcome.loss, queue);
          queue.staleIdentity ??= batch.assigned;
          queue.hole = true;
          this.#retry(queue, batch, outcome.error, nowMs, { backOff: false });
          break;
        case 'split':
          this.#split(queue, batch);
          break;
        case 'failed':
          this.#giveUp(queue, batch, outcome.error, 'the broker refuses it');
          break;
      }
    }
    this.drain();
  }

  #onRequestFailed(sent: readonly Sent[], error: MillraceError): void {
    const nowMs = performance.now();
    for (const { queue, batch } of sent) {
      // Without an answer nothing tells whether acks 0 arrived: repeating it could double it.
      if (error.retriable && this.#options.acks !== 0) this.#retry(queue, batch, error, nowMs);
      else this.#giveUp(queue, batch, error, 'the request failed');
    }
    this.drain();
  }

  #succeed(queue: PartitionQueue, batch: Batch, offset: number, logAppendTimeMs: number): void {
    if (!queue.land(batch)) return;
    queue.failures = 0;
    queue.notBeforeMs = 0;
    queue.hole = false;
    queue.lastError = undefined;
    if (offset >= 0) queue.lastAcknowledgedOffset = offset + batch.recordCount - 1;
    this.#budget.release(batch.chargedBytes);
    const { topic, partition } = queue;
    const timestampMs = logAppendTimeMs < 0 ? undefined : logAppendTimeMs;
    for (const { index, delivery } of batch.deliveries) {
      const recordOffset = offset < 0 ? -1 : offset + index;
      delivery.delivered({ topic, partition, offset: recordOffset, timestampMs });
    }
    this.#callbacks.onSettled(queue, batch);
  }

  #retry(
    queue: PartitionQueue,
    batch: Batch,
    error: MillraceError,
    nowMs: number,
    { backOff = true } = {},
  ): void {
    if (!queue.land(batch)) return;
    batch.lastError = error;
    queue.lastError = error;
    queue.putBack(batch);
    if (doubtsMetadata(error)) this.#cluster.forget(queue.topic);
    if (!backOff || queue.notBeforeMs > nowMs) return;
    queue.failures += 1;
    const delayMs = backoffMs(this.#options.retryBackoff, queue.failures);
    queue.notBeforeMs = nowMs + delayMs;
    const action = `produce to ${queue.topic}-${queue.partition}`;
    this.#cluster.onEvent({ type: 'retry', action, attempt: batch.attempts, delayMs, error });
  }

  #split(queue: PartitionQueue, batch: Batch): void {
    if (!queue.land(batch)) return;
    const halves = splitBatch(batch, this.#options.compression);
    const addedBytes = halves[0].chargedBytes + halves[1].chargedBytes;
    this.#budget.charge(addedBytes);
    this.#budget.addBacklog(addedBytes);
    this.#budget.release(batch.chargedBytes);
    let open = halves.length;
    const settled = (): void => {
      open -= 1;
      if (open === 0) for (const listener of batch.onSettled) listener();
    };
    for (const half of halves) half.onSettled.push(settled);
    queue.putBack(...halves);
  }

  #giveUp(
    queue: PartitionQueue,
    batch: Batch,
    cause: MillraceError | undefined,
    why: string,
  ): void {
    const waitingAt = queue.waiting.indexOf(batch);
    if (waitingAt >= 0) queue.waiting.splice(waitingAt, 1);
    else if (!queue.land(batch)) return;
    if (batch.assigned !== undefined) queue.hole = true;
    this.#budget.release(batch.chargedBytes);
    const error = deliveryFailure(queue, batch, cause, why);
    for (const { delivery } of batch.deliveries) delivery.failed(error);
    this.#callbacks.onSettled(queue, batch, error);
  }

  #failQueue(queue: PartitionQueue, error: MillraceError, why: string): void {
    queue.seal();
    for (const batch of [...queue.waiting]) this.#giveUp(queue, batch, error, why);
  }

  #failTopic(topic: TopicQueues, error: MillraceError): void {
    for (const queue of topic.queues) this.#failQueue(queue, error, 'for good');
    topic.route = undefined;
    this.#callbacks.onTopicFailed(topic, error);
  }

  #failAll(error: MillraceError): void {
    for (const topic of this.#active) this.#failTopic(topic, error);
  }

  /** Gives up what is too old, and forgets topics that have nothing left. */
  #sweep(nowMs: number): void {
    const sweepMs = Math.min(MAX_SWEEP_MS, Math.max(this.#options.deliveryTimeoutMs / 10, 1));
    if (nowMs - this.#lastSweepMs < sweepMs) return;
    this.#lastSweepMs = nowMs;
    const { deliveryTimeoutMs } = this.#options;
    const why = `the delivery timeout of ${deliveryTimeoutMs} ms is over`;
    for (const topic of this.#active) {
      for (const queue of topic.queues) {
        const { openedMs } = queue;
        if (openedMs !== undefined && openedMs + deliveryTimeoutMs <= nowMs) queue.seal();
        for (const batch of [...queue.waiting]) {
          if (batch.deadlineMs > nowMs) break;
          const cause = batch.lastError ?? queue.lastError ?? topic.lastError;
          this.#giveUp(queue, batch, cause, why);
        }
      }
      const [oldest] = topic.unresolved;
      if (oldest !== undefined && oldest.deadlineMs <= nowMs) {
        this.#callbacks.onTopicFailed(
          topic,
          topic.lastError ?? new ConnectionError(`The topic "${topic.name}" was not found out`, {}),
        );
      }
      const idle = topic.unresolved.length === 0 && topic.queues.every((queue) => queue.isEmpty);
      if (idle) this.#active.delete(topic);
    }
  }

  /** Sets the one timer to when something may have to be done without anything happening. */
  #rearm(nowMs: number): void {
    let atMs = Infinity;
    const { lingerMs } = this.#options;
    for (const topic of this.#active) {
      for (const queue of topic.queues) {
        if (queue.isEmpty) continue;
        atMs = Math.min(atMs, nowMs + MAX_SWEEP_MS, this.#sweepAtMs());
        if (queue.notBeforeMs > nowMs) atMs = Math.min(atMs, queue.notBeforeMs);
        else if (queue.openedMs !== undefined && queue.openedMs + lingerMs > nowMs) {
          atMs = Math.min(atMs, queue.openedMs + lingerMs);
        }
      }
      if (topic.unresolved.length > 0) atMs = Math.min(atMs, this.#sweepAtMs());
    }
    if (atMs === Infinity) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#timerAtMs = Infinity;
      return;
    }
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#timerAtMs = Infinity;
        this.drain();
      },
      Math.max(Math.ceil(atMs - nowMs), 1),
    );
  }

  #sweepAtMs(): number {
    const sweepMs = Math.min(MAX_SWEEP_MS, Math.max(this.#options.deliveryTimeoutMs / 10, 1));
    return this.#lastSweepMs + sweepMs + 1;
  }
}
