import { BATCH_OVERHEAD_BYTES, crc32c, readBatchHeader } from '@millrace/protocol';
import type { BatchHeader } from '@millrace/protocol';
import type { ByteRange } from '@millrace/native';
import type { StorageFile } from './persistence/file.js';

/** A CRC-32C covers a batch from its attributes on; base offset, length, epoch, magic and CRC lie before. */
const CRC_COVERS_FROM = 21;
const READ_BYTES = 4 * 1024 * 1024;
/** Most tails are short: the first read is that long, each next one twice as long. */
const FIRST_READ_BYTES = 64 * 1024;
/** The zeros behind a log are looked at in pieces that stay in the processor's cache. */
const SCAN_BYTES = 256 * 1024;
const ZEROS = Buffer.alloc(SCAN_BYTES);
const MAGIC = 2;

/** What a valid batch must continue. */
export interface ExpectedBatch {
  readonly offset: number;
  readonly maxBatchBytes: number;
  readonly maxLeaderEpoch: number;
}

export interface CheckedTail {
  /** Where the valid batches end. */
  readonly end: number;
  /** The offset after the last of them. */
  readonly nextOffset: number;
  readonly lastEpoch: number;
  /** Why the walk ended; undefined when it reached the end of the file. */
  readonly problem: string | undefined;
}

/**
 * Walks the batches of a file from byte `from`, and believes each only when its checksum fits and its
 * base offset continues the one before.
 */
export function checkTail(file: StorageFile, from: number, expected: ExpectedBatch): CheckedTail {
  const reader = new TailReader(file, file.size());
  let end = from;
  let nextOffset = expected.offset;
  let lastEpoch = -1;
  for (;;) {
    if (end === reader.fileBytes) return { end, nextOffset, lastEpoch, problem: undefined };
    const batch = reader.batchAt(end, expected.maxBatchBytes);
    if (typeof batch === 'string') return { end, nextOffset, lastEpoch, problem: batch };
    const problem = whyNotNext(batch, nextOffset, expected.maxLeaderEpoch);
    if (problem !== undefined) return { end, nextOffset, lastEpoch, problem };
    end += batch.sizeBytes;
    nextOffset += batch.lastOffsetDelta + 1;
    lastEpoch = batch.partitionLeaderEpoch;
  }
}

function whyNotNext(batch: BatchHeader, offset: number, maxEpoch: number): string | undefined {
  if (batch.baseOffset !== offset) {
    return `base offset ${batch.baseOffset} where ${offset} must follow`;
  }
  if (batch.lastOffsetDelta + 1 !== batch.recordCount || batch.recordCount < 1) {
    return `a record count of ${batch.recordCount} with a last offset delta of ${batch.lastOffsetDelta}`;
  }
  if (batch.partitionLeaderEpoch > maxEpoch || batch.partitionLeaderEpoch < 0) {
    return `leader epoch ${batch.partitionLeaderEpoch}, beyond the known ${maxEpoch}`;
  }
  return undefined;
}

/** Reads a file front to back in large pieces. */
class TailReader {
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;
  #nextReadBytes = FIRST_READ_BYTES;

  constructor(
    private readonly file: StorageFile,
    readonly fileBytes: number,
  ) {}

  /** The header of the whole, undamaged batch at `position`, or what is wrong with it. */
  batchAt(position: number, maxBatchBytes: number): BatchHeader | string {
    if (position + BATCH_OVERHEAD_BYTES > this.fileBytes)
      return 'the file ends within a batch header';
    const header = readBatchHeader(this.#bytes(position, BATCH_OVERHEAD_BYTES));
    if (header.batchLength === 0 && header.magic === 0) return 'no batch: zeros';
    if (header.magic !== MAGIC) return `magic ${header.magic} instead of ${MAGIC}`;
    if (header.sizeBytes < BATCH_OVERHEAD_BYTES || header.sizeBytes > maxBatchBytes) {
      return `an impossible batch length of ${header.batchLength}`;
    }
    if (position + header.sizeBytes > this.fileBytes) return 'the file ends within a batch';
    const bytes = this.#bytes(position, header.sizeBytes);
    if (crc32c(bytes.subarray(CRC_COVERS_FROM)) !== header.crc) return 'the checksum does not fit';
    return header;
  }

  #bytes(position: number, length: number): Buffer {
    const from = position - this.#windowStart;
    if (from >= 0 && from + length <= this.#window.length) {
      return this.#window.subarray(from, from + length);
    }
    const want = Math.min(Math.max(length, this.#nextReadBytes), this.fileBytes - position);
    this.#nextReadBytes = Math.min(2 * this.#nextReadBytes, READ_BYTES);
    const window = Buffer.allocUnsafe(want);
    this.#window = window.subarray(0, this.file.read(window, position));
    this.#windowStart = position;
    return this.#window.subarray(0, length);
  }
}

/**
 * Where the last byte that is not zero ends, at or after `from`; `from` when all are zero. What was
 * allocated ahead and never written is not looked at: it would be most of what a start reads.
 */
export function endOfContent(file: StorageFile, from: number): number {
  let end = from;
  for (let range = file.nextData(from); range; range = file.nextData(range.end)) {
    end = endOfContentWithin(file, range) ?? end;
  }
  return end;
}

/** Where the last byte of the range that is not zero ends; undefined when all are zero. All of it is read. */
export function endOfContentWithin(file: StorageFile, range: ByteRange): number | undefined {
  const window = Buffer.allocUnsafe(Math.min(SCAN_BYTES, range.end - range.start));
  for (let end = range.end; end > range.start;) {
    const start = Math.max(range.start, end - window.length);
    const count = file.read(window.subarray(0, end - start), start);
    if (window.compare(ZEROS, 0, count, 0, count) !== 0) {
      let last = count - 1;
      while (window[last] === 0) last -= 1;
      return start + last + 1;
    }
    end = start;
  }
  return undefined;
}
