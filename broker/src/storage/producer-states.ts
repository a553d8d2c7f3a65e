import { ProtocolError } from '@millrace/protocol';
import type { BatchHeader } from '@millrace/protocol';

/** Batches remembered per producer: a repeat of any of them is answered with its first answer. */
export const REMEMBERED_BATCHES = 5;
const SEQUENCE_LIMIT = 2 ** 31;

/** A batch that was appended. */
export interface AppendedBatch {
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  /** Where the log ended after it, to wait for its durability; 0 for one from before a restart. */
  readonly endLsn: number;
}

interface ProducerState {
  epoch: number;
  lastSeenMs: number;
  /** The newest last, at most {@link REMEMBERED_BATCHES}. */
  batches: AppendedBatch[];
}

export interface ProducerLimits {
  readonly maxProducers: number;
  readonly expirationMs: number;
}

/**
 * What a partition knows of its idempotent producers (KIP-98): per producer id the epoch and the last
 * five batches. A repeat is recognised, a gap is refused, an old epoch is fenced.
 */
export class ProducerStates {
  /** Insertion order is order of last use, so that the longest idle is the first. */
  readonly #producers = new Map<number, ProducerState>();
  /** The last of them. */
  #newest: ProducerState | undefined;
  #version = 0;

  constructor(private readonly limits: ProducerLimits) {}

  /** Changes whenever a snapshot would come out different. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#producers.size;
  }

  /** True when a batch of that producer is remembered. */
  knows(producerId: number): boolean {
    return this.#producers.has(producerId);
  }

  /**
   * Judges a batch before it is appended: undefined when it is next in order, the first answer when it
   * is a repeat.
   * @throws ProtocolError INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER,
   *   DUPLICATE_SEQUENCE_NUMBER (a repeat too old to be remembered) or UNKNOWN_PRODUCER_ID.
   */
  check(batch: BatchHeader): AppendedBatch | undefined {
    const { producerId, producerEpoch, baseSequence } = batch;
    const state = this.#producers.get(producerId);
    if (state === undefined) {
      if (baseSequence === 0) return undefined;
      throw new ProtocolError(
        'UNKNOWN_PRODUCER_ID',
        `Nothing is known of producer ${producerId}, whose batch starts at sequence ${baseSequence}: ` +
          'it was idle for too long, or its last batches were lost with an un-synced tail',
      );
    }
    if (producerEpoch < state.epoch) {
      throw new ProtocolError(
        'INVALID_PRODUCER_EPOCH',
        `Producer ${producerId} is at epoch ${state.epoch}; a batch of epoch ${producerEpoch} is fenced`,
      );
    }
    if (producerEpoch > state.epoch) {
      if (baseSequence === 0) return undefined;
      throw outOfOrder(batch, 0);
    }
    return checkSequence(state, batch);
  }

  /** Remembers an appended batch. Batches without a producer id are nobody's. */
  record(batch: BatchHeader, baseOffset: number, endLsn: number, nowMs: number): void {
    const { producerId, producerEpoch, baseSequence } = batch;
    if (producerId < 0) return;
    this.#version += 1;
    const known = this.#producers.get(producerId);
    const appended: AppendedBatch = {
      baseSequence,
      lastSequence: lastSequenceOf(batch),
      baseOffset,
      endLsn,
    };
    const state: ProducerState =
      known?.epoch === producerEpoch
        ? known
        : { epoch: producerEpoch, lastSeenMs: nowMs, batches: [] };
    state.lastSeenMs = nowMs;
    state.batches.push(appended);
    if (state.batches.length > REMEMBERED_BATCHES) state.batches.shift();
    // To delete from a Map costs a new table now and then, which the old one keeps alive.
    if (this.#newest !== state) {
      if (known !== undefined) this.#producers.delete(producerId);
      this.#producers.set(producerId, state);
      this.#newest = state;
    }
    this.#forget(nowMs);
  }

  /** The whole state as a snapshot holds it. */
  encode(): unknown {
    return [...this.#producers].map(([id, { epoch, lastSeenMs, batches }]) => [
      id,
      epoch,
      lastSeenMs,
      batches.map((b) => [b.baseSequence, b.lastSequence, b.baseOffset]),
    ]);
  }

  /** Which producers are known, and the base offsets of the batches that are remembered of them. */
  remembered(): { readonly producers: Float64Array; readonly baseOffsets: Float64Array } {
    const states = [...this.#producers.values()];
    return {
      producers: Float64Array.from(this.#producers.keys()),
      baseOffsets: Float64Array.from(
        states.flatMap(({ batches }) => batches.map(({ baseOffset }) => baseOffset)),
      ),
    };
  }

  /** Takes over what {@link encode} gave; false, and nothing changed, when it is no such thing. */
  restore(snapshot: unknown): boolean {
    if (!Array.isArray(snapshot)) return false;
    const entries: [number, ProducerState][] = [];
    for (const entry of snapshot as readonly unknown[]) {
      const decoded = decodeProducer(entry);
      if (decoded === undefined) return false;
      entries.push(decoded);
    }
    this.#version += 1;
    this.#producers.clear();
    for (const [id, state] of entries) this.#producers.set(id, state);
    this.#newest = entries.at(-1)?.[1];
    return true;
  }

  #forget(nowMs: number): void {
    for (const [id, state] of this.#producers) {
      const expired = nowMs - state.lastSeenMs > this.limits.expirationMs;
      if (!expired && this.#producers.size <= this.limits.maxProducers) return;
      this.#producers.delete(id);
    }
  }
}

/** Compaction takes records out of a batch, and leaves the offsets and sequences that it spans. */
function lastSequenceOf({ baseSequence, lastOffsetDelta }: BatchHeader): number {
  return (baseSequence + lastOffsetDelta) % SEQUENCE_LIMIT;
}

function checkSequence(state: ProducerState, batch: BatchHeader): AppendedBatch | undefined {
  const last = state.batches.at(-1);
  const expected = last === undefined ? 0 : (last.lastSequence + 1) % SEQUENCE_LIMIT;
  if (batch.baseSequence === expected) return undefined;
  const lastSequence = lastSequenceOf(batch);
  const repeated = state.batches.find(
    (known) => known.baseSequence === batch.baseSequence && known.lastSequence === lastSequence,
  );
  if (repeated !== undefined) return repeated;
  // Half of the circle behind the expected sequence counts as the past.
  const behind = (expected - batch.baseSequence + SEQUENCE_LIMIT) % SEQUENCE_LIMIT;
  if (behind < SEQUENCE_LIMIT / 2) {
    throw new ProtocolError(
      'DUPLICATE_SEQUENCE_NUMBER',
      `Producer ${batch.producerId}: sequence ${batch.baseSequence} was appended before, and is too ` +
        `old for its offset to be remembered (the next is ${expected})`,
    );
  }
  throw outOfOrder(batch, expected);
}

function outOfOrder(batch: BatchHeader, expected: number): ProtocolError {
  return new ProtocolError(
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    `Producer ${batch.producerId}, epoch ${batch.producerEpoch}: expected sequence ${expected}, ` +
      `got ${batch.baseSequence}; a batch before it is missing`,
  );
}

function decodeProducer(entry: unknown): [number, ProducerState] | undefined {
  if (!Array.isArray(entry) || entry.length !== 4) return undefined;
  const [id, epoch, lastSeenMs, rows] = entry as readonly unknown[];
  if (typeof id !== 'number' || typeof epoch !== 'number' || typeof lastSeenMs !== 'number') {
    return undefined;
  }
  if (!Array.isArray(rows)) return undefined;
  const batches: AppendedBatch[] = [];
  for (const row of rows as readonly unknown[]) {
    if (!Array.isArray(row) || row.length !== 3) return undefined;
    const [baseSequence, lastSequence, baseOffset] = row as readonly unknown[];
    if (typeof baseSequence !== 'number' || typeof lastSequence !== 'number') return undefined;
    if (typeof baseOffset !== 'number') return undefined;
    batches.push({ baseSequence, lastSequence, baseOffset, endLsn: 0 });
  }
  return [id, { epoch, lastSeenMs, batches }];
}
