import type { ProduceResponse } from '@millrace/protocol';
import { doubtsMetadata, type Cluster } from '../cluster.js';
import { ConnectionError, type AcknowledgedLossError, type MillraceError } from '../errors.js';
import { backoffMs } from '../util/backoff.js';
import { partitionName } from '../util/text.js';
import type { Batch } from './batch.js';
import type { MemoryBudget } from './memory-budget.js';
import type { ResolvedProducerOptions } from './options.js';
import { deliveryFailure, judge } from './outcomes.js';
import type { PartitionQueue } from './partition-queue.js';
import { splitBatch } from './split.js';

/** A batch under way and where it belongs. */
export interface Sent {
  readonly queue: PartitionQueue;
  readonly batch: Batch;
}

/** What becomes known of batches. */
export interface SettlementCallbacks {
  /** The batch is acknowledged, or has failed with the error; called once per batch. */
  readonly onSettled: (queue: PartitionQueue, batch: Batch, error?: MillraceError) => void;
  /** The broker lost what it had acknowledged. */
  readonly onLoss: (queue: PartitionQueue, error: AcknowledgedLossError) => void;
}

/** Does what the outcome of a request asks for: settles its batches, or queues them again. */
export class Settlement {
  readonly #cluster: Cluster;
  readonly #options: ResolvedProducerOptions;
  readonly #budget: MemoryBudget;
  readonly #callbacks: SettlementCallbacks;

  constructor(
    cluster: Cluster,
    options: ResolvedProducerOptions,
    budget: MemoryBudget,
    callbacks: SettlementCallbacks,
  ) {
    this.#cluster = cluster;
    this.#options = options;
    this.#budget = budget;
    this.#callbacks = callbacks;
  }

  /** Batches of an acks 0 request were handed to the kernel. */
  onSentOneWay(sent: readonly Sent[]): void {
    for (const { queue, batch } of sent) this.#succeed(queue, batch, -1, -1);
  }

  /** The broker answered a produce request. */
  onResponse(broker: string, sent: readonly Sent[], response: ProduceResponse): void {
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
          this.#succeed(queue, batch, outcome.offset, result.logAppendTimeMs);
          break;
        case 'retry':
          this.#retry(queue, batch, outcome.error, nowMs);
          break;
        case 'restart':
          if (outcome.loss !== undefined) this.#callbacks.onLoss(queue, outcome.loss);
          queue.staleIdentity ??= batch.assigned;
          queue.hole = true;
          this.#retry(queue, batch, outcome.error, nowMs, { backOff: false });
          break;
        case 'split':
          this.#split(queue, batch);
          break;
        case 'failed':
          this.giveUp(queue, batch, outcome.error, 'for the broker refuses it');
          break;
      }
    }
  }

  /** No answer came. */
  onRequestFailed(sent: readonly Sent[], error: MillraceError): void {
    const nowMs = performance.now();
    for (const { queue, batch } of sent) {
      // Without an answer nothing tells whether acks 0 arrived: repeating it could double it.
      if (error.retriable && this.#options.acks !== 0) this.#retry(queue, batch, error, nowMs);
      else this.giveUp(queue, batch, error, 'for the request failed');
    }
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
    const appended = logAppendTimeMs < 0 ? {} : { timestampMs: logAppendTimeMs };
    for (const { index, delivery } of batch.deliveries) {
      const recordOffset = offset < 0 ? -1 : offset + index;
      delivery.delivered({ topic, partition, offset: recordOffset, ...appended });
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
    const action = `produce to ${partitionName(queue.topic, queue.partition)}`;
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

  /** Gives a batch up; its senders are told. */
  giveUp(queue: PartitionQueue, batch: Batch, cause: MillraceError | undefined, why: string): void {
    const waitingAt = queue.waiting.indexOf(batch);
    if (waitingAt >= 0) queue.waiting.splice(waitingAt, 1);
    else if (!queue.land(batch)) return;
    if (batch.assigned !== undefined) queue.hole = true;
    this.#budget.release(batch.chargedBytes);
    const error = deliveryFailure(queue, batch, cause, why);
    for (const { delivery } of batch.deliveries) delivery.failed(error);
    this.#callbacks.onSettled(queue, batch, error);
  }

  /** Gives up everything of the queue that is not under way. */
  failQueue(queue: PartitionQueue, error: MillraceError, why: string): void {
    queue.seal();
    for (const batch of [...queue.waiting]) this.giveUp(queue, batch, error, why);
  }
}
