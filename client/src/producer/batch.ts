import type { MillraceError } from '../errors.js';
import type { RecordMetadata } from './message.js';

/** Who wants to know how one message fared. */
export interface Delivery {
  delivered(metadata: RecordMetadata): void;
  failed(error: MillraceError): void;
}

/** A delivery and which record of its batch it is about. */
export interface DeliverySlot {
  readonly index: number;
  readonly delivery: Delivery;
}

/** The identity under which a batch was first sent; a repeat must carry the same. */
export interface SequenceStamp {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

/** What batches carry when nobody de-duplicates them. */
export const NO_STAMP: SequenceStamp = { producerId: -1, producerEpoch: -1, baseSequence: -1 };

/** A batch that takes no more records: encoded, waiting to be sent or acknowledged. */
export class Batch {
  /** Whole record batch, ready for the wire but for its producer stamp. */
  readonly bytes: Buffer;
  readonly recordCount: number;
  /** Order within the partition. */
  readonly serial: number;
  /** When delivery is given up (`performance.now()`). */
  readonly deadlineMs: number;
  /** Records whose sender waits; the others were enqueued. */
  readonly deliveries: readonly DeliverySlot[];
  /** Bytes charged to the producer's buffer. */
  readonly chargedBytes: number;
  /** Told once when the batch is acknowledged or has failed. */
  readonly onSettled: (() => void)[] = [];
  attempts = 0;
  lastError: MillraceError | undefined;
  /** What the bytes carry now. */
  written: SequenceStamp;
  /** Assigned when first sent, and kept until the producer starts a new epoch. */
  assigned: SequenceStamp | undefined;

  constructor(fields: {
    readonly bytes: Buffer;
    readonly recordCount: number;
    readonly serial: number;
    readonly deadlineMs: number;
    readonly deliveries: readonly DeliverySlot[];
    readonly chargedBytes: number;
    readonly written: SequenceStamp;
  }) {
    this.bytes = fields.bytes;
    this.recordCount = fields.recordCount;
    this.serial = fields.serial;
    this.deadlineMs = fields.deadlineMs;
    this.deliveries = fields.deliveries;
    this.chargedBytes = fields.chargedBytes;
    this.written = fields.written;
  }

  /** Enqueued records: those whose failure nobody waits for. */
  get enqueuedCount(): number {
    return this.recordCount - this.deliveries.length;
  }
}

/** Sequences run from 0 to 2^31 − 1 and start over, as in Kafka. */
export function advanceSequence(sequence: number, count: number): number {
  return (sequence + count) % 2 ** 31;
}
