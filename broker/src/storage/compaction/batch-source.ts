import { closeSync, openSync, readSync } from 'node:fs';
import { BATCH_OVERHEAD_BYTES, ProtocolError, RecordBatchView } from '@millrace/protocol';
import { MAX_STORED_BATCH_BYTES } from '../storage-config.js';
import type { CompactionInput } from './job.js';
import type { Pace } from './pace.js';

/** Reads of a job: large enough to be sequential for a disk, small enough for an even rate. */
const MAX_READ_BYTES = 1024 * 1024;
const MIN_READ_BYTES = 64 * 1024;
/** Reads a second at a low rate, so that it is kept evenly. */
const READS_PER_SECOND = 20;
/** Batch length counts what follows it. */
const LENGTH_AT = 8;
const LENGTH_PREFIX_BYTES = 12;

/** A batch with its bytes, which are good until the next one is asked for. */
export interface SourceBatch {
  readonly view: RecordBatchView;
  readonly bytes: Buffer;
  readonly position: number;
}

/**
 * The batches of segments one after the other, by large reads into one buffer. Each is checked: a
 * damaged one must not be rewritten with a checksum that fits again.
 */
export class BatchSource {
  readonly #readBytes: number;
  #buffer: Buffer;

  constructor(
    private readonly pace: Pace,
    bytesPerSecond: number,
  ) {
    const evenBytes = Math.floor(bytesPerSecond / READS_PER_SECOND);
    this.#readBytes = Math.min(MAX_READ_BYTES, Math.max(MIN_READ_BYTES, evenBytes));
    this.#buffer = Buffer.allocUnsafeSlow(this.#readBytes);
  }

  /**
   * The batches of `input`.
   * @throws ProtocolError CORRUPT_LOG naming file and position; an errno error where reading fails.
   */
  async *batches(input: CompactionInput): AsyncGenerator<readonly SourceBatch[], void> {
    const fd = openSync(input.path, 'r');
    try {
      let position = 0;
      while (position < input.sizeBytes) {
        const bytes = await this.#window(fd, input, position);
        const batches = wholeBatches(bytes, input, position);
        yield batches;
        for (const { bytes: batch } of batches) position += batch.length;
      }
    } finally {
      closeSync(fd);
    }
  }

  /** What the buffer takes from `position` on: one whole batch at the least. */
  async #window(fd: number, input: CompactionInput, position: number): Promise<Buffer> {
    const left = input.sizeBytes - position;
    // A batch that was larger than usual leaves no larger buffer behind.
    if (this.#buffer.length > this.#readBytes) {
      this.#buffer = Buffer.allocUnsafeSlow(this.#readBytes);
    }
    let bytes = this.#read(fd, input, position, Math.min(left, this.#readBytes));
    await this.pace.take(bytes.length);
    if (bytes.length < BATCH_OVERHEAD_BYTES) {
      throw damaged(input, position, `${bytes.length} bytes are too few for a record batch`);
    }
    const sizeBytes = LENGTH_PREFIX_BYTES + bytes.readInt32BE(LENGTH_AT);
    if (sizeBytes > bytes.length) {
      if (sizeBytes > Math.min(left, MAX_STORED_BATCH_BYTES)) {
        throw damaged(input, position, `a record batch of ${sizeBytes} bytes cannot be there`);
      }
      this.#buffer = Buffer.allocUnsafeSlow(sizeBytes);
      bytes = this.#read(fd, input, position, sizeBytes);
      await this.pace.take(bytes.length);
    }
    return bytes;
  }

  #read(fd: number, input: CompactionInput, position: number, length: number): Buffer {
    let read = 0;
    while (read < length) {
      const count = readSync(fd, this.#buffer, read, length - read, position + read);
      if (count === 0) throw damaged(input, position + read, 'the file ends there');
      read += count;
    }
    return this.#buffer.subarray(0, length);
  }
}

function wholeBatches(bytes: Buffer, input: CompactionInput, position: number): SourceBatch[] {
  const batches: SourceBatch[] = [];
  let at = 0;
  while (at + BATCH_OVERHEAD_BYTES <= bytes.length) {
    const sizeBytes = LENGTH_PREFIX_BYTES + bytes.readInt32BE(at + LENGTH_AT);
    if (at + sizeBytes > bytes.length && batches.length > 0) break;
    const view = checked(bytes, at, input, position + at);
    const end = at + view.header.sizeBytes;
    batches.push({ view, bytes: bytes.subarray(at, end), position: position + at });
    at = end;
  }
  return batches;
}

function checked(
  bytes: Buffer,
  at: number,
  input: CompactionInput,
  position: number,
): RecordBatchView {
  try {
    return RecordBatchView.read(bytes, at, { maxDecompressedBytes: MAX_STORED_BATCH_BYTES });
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw damaged(input, position, cause.message, cause);
  }
}

function damaged(
  input: CompactionInput,
  position: number,
  what: string,
  cause?: unknown,
): ProtocolError {
  const message = `${input.path} cannot be compacted, it is damaged at byte ${position}: ${what}`;
  return new ProtocolError('CORRUPT_LOG', message, cause === undefined ? {} : { cause });
}
