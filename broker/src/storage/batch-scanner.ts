import { BATCH_OVERHEAD_BYTES, readBatchHeader } from '@millrace/protocol';
import type { BatchHeader } from '@millrace/protocol';
import type { StorageFile } from './persistence/file.js';

/** A header and where its batch starts in the file. */
export interface ScannedBatch {
  readonly header: BatchHeader;
  readonly position: number;
}

const MAGIC = 2;
const NOTHING = Buffer.alloc(0);

/** What is read first, and again where the next batch lies beyond a window: a header, and little more. */
const GLANCE_BYTES = 512;

/**
 * Walks the batch headers of a segment from a position that is known to be a batch's start. Of large batches
 * it reads little more than the headers, of small ones a window at a time, so that many cost one read.
 * Headers are not checked beyond what is needed to walk on: the next position must lie ahead and
 * within `limit`.
 */
export class BatchScanner {
  /** The most that is read at a time. */
  readonly windowBytes: number;
  #window: Buffer = NOTHING;
  #windowStart = -Infinity;
  #windowLength = 0;
  #position: number;

  constructor(
    private readonly file: StorageFile,
    position: number,
    /** Where the valid data ends. */
    private readonly limit: number,
    windowBytes = 16 * 1024,
  ) {
    this.#position = position;
    this.windowBytes = Math.max(BATCH_OVERHEAD_BYTES, Math.min(windowBytes, limit - position));
  }

  /** Where the next batch starts: the limit, or where walking became impossible, at the end. */
  get position(): number {
    return this.#position;
  }

  /** The next batch, or undefined at the limit or where there is no plausible batch. */
  next(): ScannedBatch | undefined {
    const position = this.#position;
    if (position + BATCH_OVERHEAD_BYTES > this.limit) return undefined;
    const header = this.#headerAt(position);
    if (header?.magic !== MAGIC) return undefined;
    if (header.sizeBytes < BATCH_OVERHEAD_BYTES) return undefined;
    if (position + header.sizeBytes > this.limit) return undefined;
    this.#position = position + header.sizeBytes;
    return { header, position };
  }

  #headerAt(position: number): BatchHeader | undefined {
    const inWindow =
      position >= this.#windowStart &&
      position + BATCH_OVERHEAD_BYTES <= this.#windowStart + this.#windowLength;
    if (!inWindow) {
      const isFar = position - this.#windowStart > this.windowBytes;
      const want = isFar ? Math.min(GLANCE_BYTES, this.windowBytes) : this.windowBytes;
      if (this.#window.length < want) this.#window = Buffer.allocUnsafe(want);
      this.#windowStart = position;
      this.#windowLength = this.file.read(
        this.#window.subarray(0, Math.min(want, this.limit - position)),
        position,
      );
      if (this.#windowLength < BATCH_OVERHEAD_BYTES) return undefined;
    }
    return readBatchHeader(this.#window, position - this.#windowStart);
  }
}
