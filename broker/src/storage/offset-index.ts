import { crc32c } from '@millrace/protocol';

/**
 * One entry as stored, big-endian:
 *
 *     u32 relativeOffset · u32 position · i64 maxTimestampMs · u32 crc32c of the 16 bytes before
 *
 * `maxTimestampMs` is the largest timestamp in the segment before `position`.
 */
export const INDEX_ENTRY_BYTES = 20;
const CHECKED_BYTES = 16;
const INITIAL_ENTRIES = 16;

export interface IndexEntry {
  /** Base offset of the batch at `position`. */
  readonly offset: number;
  readonly position: number;
  /** Largest timestamp of all batches before this one; -1 when there are none. */
  readonly maxTimestampMs: number;
}

/**
 * The sparse index of one segment: for some batches, where they start. Entries ascend in offset and in
 * position. Everything in it can be rebuilt from the log.
 */
export class OffsetIndex {
  #bytes: Buffer;
  #count: number;
  /** Largest timestamp of all batches tracked so far. */
  #maxTimestampMs = -1;
  /** Position of the last entry. */
  #lastPosition = -Infinity;

  #storedBytes = 0;

  private constructor(
    private readonly baseOffset: number,
    bytes: Buffer,
    count: number,
  ) {
    this.#bytes = bytes;
    this.#count = count;
  }

  static empty(baseOffset: number): OffsetIndex {
    return new OffsetIndex(baseOffset, Buffer.alloc(INITIAL_ENTRIES * INDEX_ENTRY_BYTES), 0);
  }

  /**
   * The entries of an index file that can be believed: from the start up to the first that fails its
   * checksum, does not ascend, or lies beyond `limitPosition`.
   */
  static parse(baseOffset: number, bytes: Buffer, limitPosition: number): OffsetIndex {
    const whole = Math.floor(bytes.length / INDEX_ENTRY_BYTES);
    const index = new OffsetIndex(baseOffset, bytes, 0);
    index.#storedBytes = bytes.length;
    let offset = -1;
    let position = -1;
    for (let i = 0; i < whole; i += 1) {
      const at = i * INDEX_ENTRY_BYTES;
      const checked = bytes.subarray(at, at + CHECKED_BYTES);
      if (bytes.readUInt32BE(at + CHECKED_BYTES) !== crc32c(checked)) break;
      const entry = index.#entry(i);
      if (entry.offset <= offset || entry.position <= position) break;
      if (entry.position >= limitPosition) break;
      ({ offset, position } = entry);
      index.#count = i + 1;
    }
    index.#maxTimestampMs = index.last?.maxTimestampMs ?? -1;
    index.#lastPosition = index.last?.position ?? -Infinity;
    return index;
  }

  /**
   * The last entry of an index file, by itself; undefined when its checksum does not fit.
   * @param bytes the end of the file.
   */
  static lastEntry(baseOffset: number, bytes: Buffer): IndexEntry | undefined {
    if (bytes.length < INDEX_ENTRY_BYTES) return undefined;
    const last = bytes.subarray(bytes.length - INDEX_ENTRY_BYTES);
    const checksum = crc32c(last.subarray(0, CHECKED_BYTES));
    if (last.readUInt32BE(CHECKED_BYTES) !== checksum) return undefined;
    return new OffsetIndex(baseOffset, last, 1).last;
  }

  /** The largest timestamp of all batches that were tracked; -1 when none bears one. */
  get maxTimestampMs(): number {
    return this.#maxTimestampMs;
  }

  get count(): number {
    return this.#count;
  }

  /** True when it holds just what the file that it was parsed from held. */
  get asStored(): boolean {
    return this.#count * INDEX_ENTRY_BYTES === this.#storedBytes;
  }

  get memoryBytes(): number {
    return this.#bytes.length;
  }

  get last(): IndexEntry | undefined {
    return this.#count === 0 ? undefined : this.#entry(this.#count - 1);
  }

  /**
   * Takes notice of the batch that starts at `position`: it gets an entry when the last one lies
   * `intervalBytes` or more behind. Batches come in order; the last entry's own may come again.
   */
  track(baseOffset: number, maxTimestampMs: number, position: number, intervalBytes: number): void {
    if (position >= this.#lastPosition + intervalBytes) {
      this.#add(baseOffset, position, this.#maxTimestampMs);
    }
    this.#maxTimestampMs = Math.max(this.#maxTimestampMs, maxTimestampMs);
  }

  #add(offset: number, position: number, maxTimestampMs: number): void {
    const at = this.#count * INDEX_ENTRY_BYTES;
    if (at + INDEX_ENTRY_BYTES > this.#bytes.length) {
      const larger = Buffer.alloc(
        Math.max(this.#bytes.length * 2, INDEX_ENTRY_BYTES * INITIAL_ENTRIES),
      );
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    this.#bytes.writeUInt32BE(offset - this.baseOffset, at);
    this.#bytes.writeUInt32BE(position, at + 4);
    this.#bytes.writeBigInt64BE(BigInt(maxTimestampMs), at + 8);
    this.#count += 1;
    this.#lastPosition = position;
  }

  /** The last entry at or before `offset`. */
  floorOffset(offset: number): IndexEntry | undefined {
    const i = this.#lastWhere((at) => this.#bytes.readUInt32BE(at) + this.baseOffset <= offset);
    return i < 0 ? undefined : this.#entry(i);
  }

  /** The last entry at or before byte `position`. */
  floorPosition(position: number): IndexEntry | undefined {
    const i = this.#lastWhere((at) => this.#bytes.readUInt32BE(at + 4) <= position);
    return i < 0 ? undefined : this.#entry(i);
  }

  /** The last entry before which every timestamp is smaller than `timestampMs`. */
  floorTimestamp(timestampMs: number): IndexEntry | undefined {
    const i = this.#lastWhere((at) => Number(this.#bytes.readBigInt64BE(at + 8)) < timestampMs);
    return i < 0 ? undefined : this.#entry(i);
  }

  /** Entries from the `from`-th on, as they are stored, checksums set. */
  encode(from = 0): Buffer {
    const start = from * INDEX_ENTRY_BYTES;
    const bytes = Buffer.from(this.#bytes.subarray(start, this.#count * INDEX_ENTRY_BYTES));
    for (let at = 0; at < bytes.length; at += INDEX_ENTRY_BYTES) {
      bytes.writeUInt32BE(crc32c(bytes.subarray(at, at + CHECKED_BYTES)), at + CHECKED_BYTES);
    }
    return bytes;
  }

  #entry(i: number): IndexEntry {
    const at = i * INDEX_ENTRY_BYTES;
    return {
      offset: this.baseOffset + this.#bytes.readUInt32BE(at),
      position: this.#bytes.readUInt32BE(at + 4),
      maxTimestampMs: Number(this.#bytes.readBigInt64BE(at + 8)),
    };
  }

  /** The greatest i whose entry satisfies `holds`, which is true up to some entry and false after. */
  #lastWhere(holds: (at: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(middle * INDEX_ENTRY_BYTES)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
