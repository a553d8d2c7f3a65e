/**
 * Bytes that may lie in several buffers, as they came off a socket. Slices share memory with
 * what they were cut from. Immutable, except that the buffers' bytes can be written by whoever
 * holds them.
 *
 * Positions are in bytes from the start of the whole.
 */
export class ByteChunks {
  /** No bytes at all. */
  static readonly empty = new ByteChunks([]);

  readonly chunks: readonly Buffer[];
  /** Bytes in all chunks together. */
  readonly length: number;

  /** @param chunks kept as they are: the array must not change afterwards. */
  constructor(chunks: readonly Buffer[]) {
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    this.chunks = chunks;
    this.length = length;
  }

  /**
   * The bytes from `start` to before `end` (default: the end of all) without copying.
   *
   * @throws RangeError when the range is not within the bytes.
   */
  slice(start: number, end: number = this.length): ByteChunks {
    this.#check(start, end);
    if (start === 0 && end === this.length) return this;
    if (start === end) return ByteChunks.empty;
    const parts: Buffer[] = [];
    let chunkStart = 0;
    for (const chunk of this.chunks) {
      const chunkEnd = chunkStart + chunk.length;
      if (chunkStart >= end) break;
      if (chunkEnd > start && chunk.length > 0) {
        const from = Math.max(start - chunkStart, 0);
        const to = Math.min(end, chunkEnd) - chunkStart;
        parts.push(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
      }
      chunkStart = chunkEnd;
    }
    return new ByteChunks(parts);
  }

  /**
   * `length` bytes from `start` as one buffer. Where they lie within one chunk it shares the
   * chunk's memory; where they straddle chunks it is a copy, and writes to it are lost.
   *
   * @throws RangeError when the range is not within the bytes.
   */
  view(start: number, length: number): Buffer {
    const end = start + length;
    this.#check(start, end);
    let chunkStart = 0;
    for (const chunk of this.chunks) {
      const chunkEnd = chunkStart + chunk.length;
      if (start < chunkEnd) {
        if (end <= chunkEnd) return chunk.subarray(start - chunkStart, end - chunkStart);
        break;
      }
      chunkStart = chunkEnd;
    }
    return Buffer.concat(this.slice(start, end).chunks, length);
  }

  /** All bytes as one buffer; a copy only when there are several chunks. */
  toBuffer(): Buffer {
    const [first] = this.chunks;
    if (first !== undefined && this.chunks.length === 1) return first;
    return Buffer.concat(this.chunks, this.length);
  }

  #check(start: number, end: number): void {
    const valid = Number.isSafeInteger(start) && Number.isSafeInteger(end);
    if (valid && start >= 0 && start <= end && end <= this.length) return;
    throw new RangeError(`Bytes ${start} to ${end} are not within the ${this.length} there are`);
  }
}
