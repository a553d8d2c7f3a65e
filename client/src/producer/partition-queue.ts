import { RecordBatchBuilder, restampProducer, type CompressionName } from '@millrace/protocol';
import type { MillraceError } from '../errors.js';
import {
  advanceSequence,
  Batch,
  NO_STAMP,
  type Delivery,
  type DeliverySlot,
  type SequenceStamp,
} from './batch.js';
import type { ProducerIdentity } from './identity.js';
import type { MemoryBudget } from './memory-budget.js';
import type { CheckedMessage } from './message.js';
import { MAX_RECORDS_PER_BATCH } from './options.js';

/** Builders kept for the next batch. */
const MAX_SPARE_BUILDERS = 64;

/** Settings and stores that the queues of one producer share. */
export interface QueueContext {
  readonly batchBytes: number;
  readonly compression: CompressionName;
  readonly deliveryTimeoutMs: number;
  readonly idempotent: boolean;
  readonly budget: MemoryBudget;
  readonly spareBuilders: RecordBatchBuilder[];
  /** A batch was sealed because it is full. */
  readonly onSealed: (queue: PartitionQueue) => void;
}

/**
 * What a producer holds of one partition: the batch that takes messages, batches that wait, and
 * those that are under way. Knows sequences, but nothing of connections.
 */
export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  topicId: string;
  /** Finished batches that are not under way, oldest first. */
  readonly waiting: Batch[] = [];
  /** Batches sent and not yet answered, in the order sent. */
  readonly inFlight: Batch[] = [];
  /** No sending before this (`performance.now()`). */
  notBeforeMs = 0;
  /** Failed rounds in a row. */
  failures = 0;
  /** A batch came back: nothing is sent until all that is under way is answered. */
  recovering = false;
  /** The identity to leave behind before anything more is sent; undefined when all is well. */
  staleIdentity: ProducerIdentity | undefined;
  /** A batch that may have been stored was given up: a refused sequence after it is no loss. */
  hole = false;
  lastAcknowledgedOffset = -1;
  lastError: MillraceError | undefined;

  readonly #context: QueueContext;
  #builder: RecordBatchBuilder | undefined;
  #deliveries: DeliverySlot[] = [];
  #openedMs = 0;
  #serial = 0;
  #identity: ProducerIdentity | undefined;
  #nextSequence = 0;

  constructor(topic: string, partition: number, topicId: string, context: QueueContext) {
    this.topic = topic;
    this.partition = partition;
    this.topicId = topicId;
    this.#context = context;
  }

  get identity(): ProducerIdentity | undefined {
    return this.#identity;
  }

  /** When the open batch got its first message (`performance.now()`); undefined without one. */
  get openedMs(): number | undefined {
    return this.#builder === undefined ? undefined : this.#openedMs;
  }

  get isEmpty(): boolean {
    return this.#builder === undefined && this.waiting.length === 0 && this.inFlight.length === 0;
  }

  /** Adds a message to the open batch; charges its bytes. */
  append(message: CheckedMessage, delivery: Delivery | undefined, estimate: number): void {
    const { batchBytes, budget } = this.#context;
    let builder = this.#builder;
    if (builder !== undefined && builder.sizeBytes + estimate > batchBytes) {
      this.seal();
      this.#context.onSealed(this);
      builder = undefined;
    }
    builder ??= this.#open();
    const before = builder.sizeBytes;
    builder.append(message.key, message.value, message.headers, message.timestampMs);
    budget.charge(builder.sizeBytes - before);
    if (delivery !== undefined) {
      this.#deliveries.push({ index: builder.recordCount - 1, delivery });
    }
    if (builder.sizeBytes >= batchBytes || builder.recordCount >= MAX_RECORDS_PER_BATCH) {
      this.seal();
      this.#context.onSealed(this);
    }
  }

  /** Finishes the open batch, if there is one: it joins those that wait. */
  seal(): void {
    const builder = this.#builder;
    if (builder === undefined) return;
    const { budget, spareBuilders, deliveryTimeoutMs } = this.#context;
    const { recordCount, sizeBytes } = builder;
    // Most likely the stamp it will be sent with, so that the CRC is computed once.
    const written = this.#expectedStamp(recordCount);
    const bytes = builder.build(written);
    this.#builder = undefined;
    builder.reset();
    if (spareBuilders.length < MAX_SPARE_BUILDERS) spareBuilders.push(builder);
    const batch = new Batch({
      bytes,
      recordCount,
      serial: this.#serial,
      deadlineMs: this.#openedMs + deliveryTimeoutMs,
      deliveries: this.#deliveries,
      chargedBytes: bytes.length,
      written,
    });
    this.#serial += recordCount;
    this.#deliveries = [];
    this.waiting.push(batch);
    budget.addBacklog(bytes.length);
    if (bytes.length !== sizeBytes) budget.refund(sizeBytes - bytes.length);
  }

  /** Moves the first waiting batch under way, stamped. */
  takeNext(identity: ProducerIdentity | undefined): Batch | undefined {
    const batch = this.waiting.shift();
    if (batch === undefined) return undefined;
    if (identity !== undefined && batch.assigned === undefined) {
      this.#identity ??= identity;
      batch.assigned = { ...this.#identity, baseSequence: this.#nextSequence };
      this.#nextSequence = advanceSequence(this.#nextSequence, batch.recordCount);
    }
    const stamp = batch.assigned ?? NO_STAMP;
    if (!sameStamp(stamp, batch.written)) {
      restampProducer(batch.bytes, stamp.producerId, stamp.producerEpoch, stamp.baseSequence);
      batch.written = stamp;
    }
    batch.attempts += 1;
    this.inFlight.push(batch);
    return batch;
  }

  /** The batch is no longer under way. False when it was not. */
  land(batch: Batch): boolean {
    const index = this.inFlight.indexOf(batch);
    if (index < 0) return false;
    this.inFlight.splice(index, 1);
    return true;
  }

  /** Puts a batch back to its place among those that wait. */
  putBack(...batches: readonly Batch[]): void {
    this.waiting.push(...batches);
    this.waiting.sort((a, b) => a.serial - b.serial);
    this.recovering = true;
  }

  /** True when no batch before this one is still to be acknowledged. */
  isOldest(batch: Batch): boolean {
    const before = (other: Batch): boolean => other.serial < batch.serial;
    return !this.inFlight.some(before) && !this.waiting.some(before);
  }

  /** Starts over under a new identity, or in a new topic: sequences begin at 0 again. */
  restart(identity: ProducerIdentity | undefined): void {
    this.#identity = identity;
    this.#nextSequence = 0;
    this.staleIdentity = undefined;
    this.hole = false;
    this.lastAcknowledgedOffset = -1;
    for (const batch of this.waiting) batch.assigned = undefined;
  }

  #open(): RecordBatchBuilder {
    const { spareBuilders, compression, budget } = this.#context;
    const builder = spareBuilders.pop() ?? new RecordBatchBuilder({ compression });
    budget.charge(builder.sizeBytes);
    this.#builder = builder;
    this.#openedMs = performance.now();
    return builder;
  }

  #expectedStamp(recordCount: number): SequenceStamp {
    if (!this.#context.idempotent || this.#identity === undefined || recordCount === 0) {
      return NO_STAMP;
    }
    let baseSequence = this.#nextSequence;
    for (const batch of this.waiting) {
      if (batch.assigned === undefined) {
        baseSequence = advanceSequence(baseSequence, batch.recordCount);
      }
    }
    return { ...this.#identity, baseSequence };
  }
}

function sameStamp(a: SequenceStamp, b: SequenceStamp): boolean {
  return (
    a.baseSequence === b.baseSequence &&
    a.producerEpoch === b.producerEpoch &&
    a.producerId === b.producerId
  );
}
