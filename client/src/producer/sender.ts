import { produceApi } from '@millrace/protocol';
import type { Cluster } from '../cluster.js';
import {
  ConnectionError,
  toMillraceError,
  type ClosedError,
  type MillraceError,
} from '../errors.js';
import type { Connection } from '../net/connection.js';
import { ignore } from '../util/async.js';
import { quoted } from '../util/text.js';
import type { MemoryBudget } from './memory-budget.js';
import { MAX_REQUEST_BYTES, type ResolvedProducerOptions } from './options.js';
import type { PartitionQueue } from './partition-queue.js';
import { Router } from './router.js';
import { Settlement, type Sent, type SettlementCallbacks } from './settlement.js';
import type { TopicQueues } from './topic-queues.js';

/** Longest time between two looks for batches whose delivery timeout is over. */
const MAX_SWEEP_MS = 1_000;

/**
 * A batch that is sent shortly before its delivery timeout is waited for this long all the same:
 * a request that times out costs its connection, and others their answers.
 */
const MIN_REQUEST_TIMEOUT_MS = 250;
/** Partitions in one produce request. */
const MAX_REQUEST_PARTITIONS = 1_000;

/** What the sender tells the producer. */
export interface SenderCallbacks extends SettlementCallbacks {
  /** The topic cannot be produced to, with nothing to wait for. */
  readonly onTopicFailed: (topic: TopicQueues, error: MillraceError) => void;
  /** The topic was looked up. */
  readonly onTopicResolved: (topic: TopicQueues) => void;
}

/** A produce request that is being put together. */
interface RequestDraft {
  readonly sent: Sent[];
  sizeBytes: number;
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
  readonly #router: Router;
  readonly #settlement: Settlement;
  readonly #closing = new AbortController();
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
    this.#settlement = new Settlement(cluster, options, budget, callbacks);
    this.#router = new Router(cluster, options.retryBackoff, this.#closing.signal, {
      onReady: () => this.drain(),
      onResolved: (topic) => callbacks.onTopicResolved(topic),
      onFatal: (topic, error) => this.#failTopics(topic, error),
      onPartitionGone: (queue, error) => {
        this.#settlement.failQueue(queue, error, 'for the partition does not exist');
      },
    });
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

  /** Gives up everything and stops; nothing is sent afterwards. */
  stop(error: ClosedError): void {
    this.#closing.abort(error);
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    for (const topic of this.#active) {
      for (const queue of topic.queues) {
        queue.seal();
        for (const batch of [...queue.inFlight, ...queue.waiting]) {
          this.#settlement.giveUp(queue, batch, error, 'for the producer was closed');
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
    let requests: Map<Connection, RequestDraft> | undefined;
    for (const topic of this.#active) {
      if (topic.route === undefined) this.#router.lookUp(topic);
      else {
        for (const queue of topic.queues) {
          if (!this.#isReady(topic, queue, nowMs)) continue;
          const connection = this.#router.connectionFor(topic, queue);
          if (connection === undefined) continue;
          const request = requests?.get(connection);
          const sizeBytes = (request?.sizeBytes ?? 0) + (queue.waiting[0]?.bytes.length ?? 0);
          if (request !== undefined && isFull(request.sent, sizeBytes)) continue;
          const batch = queue.takeNext(this.#router.identity);
          if (batch === undefined) continue;
          if (request === undefined) {
            requests ??= new Map();
            requests.set(connection, { sent: [{ queue, batch }], sizeBytes });
          } else {
            request.sent.push({ queue, batch });
            request.sizeBytes = sizeBytes;
          }
        }
      }
    }
    if (requests === undefined) return false;
    for (const [connection, { sent }] of requests) this.#send(connection, sent, nowMs);
    return true;
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
    if (this.#options.idempotent && !this.#router.hasIdentity(queue)) return false;
    if (!topic.adopt(queue, this.#router.identity)) return false;
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
    return this.#flushing > 0 || this.#budget.isPressed || openedMs + lingerMs <= nowMs;
  }

  #send(connection: Connection, sent: readonly Sent[], nowMs: number): void {
    const { acks } = this.#options;
    const remainingMs = Math.min(...sent.map(({ batch }) => batch.deadlineMs)) - nowMs;
    const graceMs = Math.max(remainingMs, MIN_REQUEST_TIMEOUT_MS);
    const timeoutMs = Math.ceil(Math.min(this.#cluster.requestTimeoutMs, graceMs));
    const entries = sent.map(({ queue, batch }) => ({
      topicId: queue.topicId,
      partition: queue.partition,
      byteLength: batch.bytes.length,
    }));
    const payload = sent.map(({ batch }) => batch.bytes);
    const request = { acks, timeoutMs, entries };
    const settled =
      acks === 0
        ? connection
            .sendOneWay(produceApi, request, payload)
            .then(() => this.#settlement.onSentOneWay(sent))
        : connection
            .request(produceApi, request, { timeoutMs, payload })
            .then(({ response }) => this.#settlement.onResponse(connection.broker, sent, response));
    settled
      .catch((error: unknown) => this.#settlement.onRequestFailed(sent, toMillraceError(error)))
      .finally(() => this.drain())
      .catch(ignore);
  }

  #failTopics(only: TopicQueues | undefined, error: MillraceError): void {
    for (const topic of only === undefined ? [...this.#active] : [only]) {
      for (const queue of topic.queues) this.#settlement.failQueue(queue, error, 'and will not be');
      topic.route = undefined;
      this.#callbacks.onTopicFailed(topic, error);
    }
  }

  /** Gives up what is too old, and forgets topics that have nothing left. */
  #sweep(nowMs: number): void {
    const sweepMs = Math.min(MAX_SWEEP_MS, Math.max(this.#options.deliveryTimeoutMs / 10, 1));
    if (nowMs - this.#lastSweepMs < sweepMs) return;
    this.#lastSweepMs = nowMs;
    const { deliveryTimeoutMs } = this.#options;
    const why = `for the delivery timeout of ${deliveryTimeoutMs} ms is over`;
    for (const topic of this.#active) {
      for (const queue of topic.queues) {
        const { openedMs } = queue;
        if (openedMs !== undefined && openedMs + deliveryTimeoutMs <= nowMs) queue.seal();
        for (const batch of [...queue.waiting]) {
          if (batch.deadlineMs > nowMs) break;
          const cause = batch.lastError ?? queue.lastError ?? topic.lastError;
          this.#settlement.giveUp(queue, batch, cause, why);
        }
      }
      const [oldest] = topic.unresolved;
      if (oldest !== undefined && oldest.deadlineMs <= nowMs) {
        this.#callbacks.onTopicFailed(
          topic,
          topic.lastError ??
            new ConnectionError(`The topic ${quoted(topic.name)} was not found out`, {}),
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

function isFull(sent: readonly Sent[], sizeBytes: number): boolean {
  return sizeBytes > MAX_REQUEST_BYTES || sent.length >= MAX_REQUEST_PARTITIONS;
}
