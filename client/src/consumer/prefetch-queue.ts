import type { PartitionReader, PendingBatch } from './partition-reader.js';

/** Batches taken from the front before the array behind is cut. */
const COMPACT_AFTER = 1024;

/**
 * What was fetched and not yet taken, in the order in which it came. Batches of paused partitions
 * are put aside, where they do not count against the bound of the others; beyond a bound of their
 * own they are dropped, to be fetched again.
 */
export class PrefetchQueue {
  readonly #maxBytes: number;
  #batches: PendingBatch[] = [];
  #head = 0;
  #bytes = 0;
  /** Prefetching rests until half of the bound is free. */
  #resting = false;
  readonly #aside = new Map<PartitionReader, PendingBatch[]>();
  #asideBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that wait to be taken, without what is put aside. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True from the bound on until half of it is free again. */
  isResting(): boolean {
    if (this.#bytes >= this.#maxBytes) this.#resting = true;
    else if (this.#bytes * 2 <= this.#maxBytes) this.#resting = false;
    return this.#resting;
  }

  /** Batches of one reader, in order. */
  push(reader: PartitionReader, batches: readonly PendingBatch[]): void {
    if (reader.paused) {
      this.#putAside(reader, batches);
      return;
    }
    for (const batch of batches) {
      this.#batches.push(batch);
      this.#bytes += batch.sizeBytes;
    }
  }

  take(): PendingBatch | undefined {
    const pending = this.#batches[this.#head];
    if (pending === undefined) return undefined;
    this.#head += 1;
    this.#bytes -= pending.sizeBytes;
    if (this.#head === this.#batches.length) {
      this.#batches = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AFTER) {
      this.#batches = this.#batches.slice(this.#head);
      this.#head = 0;
    }
    return pending;
  }

  /** Whether anything of the partition is here. */
  holds(reader: PartitionReader): boolean {
    if (this.#aside.has(reader)) return true;
    return this.#batches.some((batch, index) => index >= this.#head && batch.reader === reader);
  }

  /** Drops everything of these partitions. */
  drop(readers: ReadonlySet<PartitionReader>): void {
    this.#extract(readers);
    for (const reader of readers) this.#takeAside(reader);
  }

  /**
   * Puts everything of a paused partition aside.
   *
   * @param rest of the batch that the application is in
   */
  pause(reader: PartitionReader, rest: PendingBatch | undefined): void {
    const queued = this.#extract(new Set([reader]));
    this.#putAside(reader, rest === undefined ? queued : [rest, ...queued]);
  }

  /** Brings back what was put aside. */
  resume(reader: PartitionReader): void {
    this.push(reader, this.#takeAside(reader));
  }

  clear(): void {
    this.#batches = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#aside.clear();
    this.#asideBytes = 0;
  }

  #putAside(reader: PartitionReader, batches: readonly PendingBatch[]): void {
    const [first] = batches;
    if (first === undefined) return;
    const bytes = totalBytes(batches);
    if (this.#asideBytes + bytes > this.#maxBytes) {
      reader.rewind(first.fromOffset);
      return;
    }
    this.#asideBytes += bytes;
    this.#aside.set(reader, [...(this.#aside.get(reader) ?? []), ...batches]);
  }

  #takeAside(reader: PartitionReader): readonly PendingBatch[] {
    const batches = this.#aside.get(reader) ?? [];
    this.#aside.delete(reader);
    this.#asideBytes -= totalBytes(batches);
    return batches;
  }

  #extract(readers: ReadonlySet<PartitionReader>): PendingBatch[] {
    const kept: PendingBatch[] = [];
    const extracted: PendingBatch[] = [];
    for (let index = this.#head; index < this.#batches.length; index += 1) {
      const batch = this.#batches[index] as PendingBatch;
      (readers.has(batch.reader) ? extracted : kept).push(batch);
    }
    if (extracted.length === 0) return extracted;
    this.#batches = kept;
    this.#head = 0;
    this.#bytes -= totalBytes(extracted);
    return extracted;
  }
}

function totalBytes(batches: readonly PendingBatch[]): number {
  return batches.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
}
