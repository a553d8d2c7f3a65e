import { randomBytes } from 'node:crypto';
import {
  ProtocolError,
  readBatchHeader,
  stampBatch,
  ByteChunks,
  type BatchHeader,
} from '@millrace/protocol';

interface StoredBatch {
  readonly bytes: Buffer;
  readonly header: BatchHeader;
}

interface ProducerRecord {
  epoch: number;
  batches: { baseSequence: number; count: number; baseOffset: number }[];
}

/** A partition in memory, with the sequence rules of a broker. */
export class FakePartition {
  batches: StoredBatch[] = [];
  startOffset = 0;
  endOffset = 0;
  leaderEpoch = 0;
  readonly producers = new Map<number, ProducerRecord>();
  readonly waiters = new Set<() => void>();
  /** Appends that were answered from memory because they were repeats. */
  duplicates = 0;

  append(bytes: Buffer): { baseOffset: number } {
    const header = readBatchHeader(bytes);
    const repeat = this.#checkSequence(header);
    if (repeat !== undefined) {
      this.duplicates += 1;
      return { baseOffset: repeat };
    }
    const baseOffset = this.endOffset;
    const copy = Buffer.from(bytes);
    stampBatch(new ByteChunks([copy]), 0, baseOffset, this.leaderEpoch);
    this.batches.push({ bytes: copy, header: readBatchHeader(copy) });
    this.endOffset += header.recordCount;
    this.#remember(header, baseOffset);
    for (const wake of [...this.waiters]) wake();
    return { baseOffset };
  }

  read(offset: number, maxBytes: number): Buffer {
    if (offset < this.startOffset || offset > this.endOffset) {
      throw new ProtocolError('OFFSET_OUT_OF_RANGE', `${offset} is not in the log`);
    }
    const chosen: Buffer[] = [];
    let total = 0;
    for (const { bytes, header } of this.batches) {
      if (header.baseOffset + header.lastOffsetDelta < offset) continue;
      if (chosen.length > 0 && total + bytes.length > maxBytes) break;
      chosen.push(bytes);
      total += bytes.length;
    }
    return Buffer.concat(chosen);
  }

  /** Forgets the newest batches and their producers' memory of them: a crash lost them. */
  loseTail(batchCount: number): void {
    const lost = this.batches.splice(this.batches.length - batchCount, batchCount);
    for (const { header } of lost) {
      const state = this.producers.get(header.producerId);
      if (state === undefined) continue;
      state.batches = state.batches.filter((b) => b.baseOffset < header.baseOffset);
      if (state.batches.length === 0) this.producers.delete(header.producerId);
    }
    this.leaderEpoch += 1;
    // Offsets are never reused: the log goes on behind a gap.
    this.endOffset += 1_000;
  }

  #checkSequence(header: BatchHeader): number | undefined {
    const { producerId, producerEpoch, baseSequence, recordCount } = header;
    if (producerId < 0) return undefined;
    const state = this.producers.get(producerId);
    if (state === undefined || producerEpoch > state.epoch) {
      if (baseSequence === 0) return undefined;
      throw new ProtocolError(
        state === undefined ? 'UNKNOWN_PRODUCER_ID' : 'OUT_OF_ORDER_SEQUENCE_NUMBER',
      );
    }
    if (producerEpoch < state.epoch) throw new ProtocolError('INVALID_PRODUCER_EPOCH');
    const last = state.batches.at(-1);
    const expected = last === undefined ? 0 : last.baseSequence + last.count;
    if (baseSequence === expected) return undefined;
    const known = state.batches
      .slice(-5)
      .find((b) => b.baseSequence === baseSequence && b.count === recordCount);
    if (known !== undefined) return known.baseOffset;
    throw new ProtocolError(
      baseSequence < expected ? 'DUPLICATE_SEQUENCE_NUMBER' : 'OUT_OF_ORDER_SEQUENCE_NUMBER',
    );
  }

  #remember({ producerId, producerEpoch, baseSequence, recordCount }: BatchHeader, at: number) {
    if (producerId < 0) return;
    let state = this.producers.get(producerId);
    if (state?.epoch !== producerEpoch) state = { epoch: producerEpoch, batches: [] };
    this.producers.set(producerId, state);
    state.batches.push({ baseSequence, count: recordCount, baseOffset: at });
  }
}

/** A topic in memory. */
export class FakeTopic {
  readonly id = randomBytes(16).toString('hex');
  readonly partitions: FakePartition[];
  readonly name: string;
  readonly config: readonly (readonly [string, string])[];
  constructor(
    name: string,
    partitions: number,
    config: readonly (readonly [string, string])[] = [],
  ) {
    this.name = name;
    this.config = config;
    this.partitions = Array.from({ length: partitions }, () => new FakePartition());
  }
}
