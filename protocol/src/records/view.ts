import { ProtocolError } from '../errors.js';
import { viewOf } from './buffer-view.js';
import { DEFAULT_MAX_DECOMPRESSED_BYTES } from './compression/codec.js';
import { codecFor, compressionName } from './compression/codecs.js';
import { crc32c } from './crc.js';
import { RecordCursor } from './cursor.js';
import {
  at,
  attribute,
  BATCH_OVERHEAD_BYTES,
  LENGTH_PREFIX_BYTES,
  MAGIC,
  MIN_BATCH_LENGTH,
  readBatchHeader,
  readInt64,
  type BatchHeader,
} from './layout.js';
import { RecordView } from './record.js';

/** How received batches are read. */
export interface ReadOptions {
  /** Whether a wrong CRC-32C is refused. Default: true. */
  readonly checkCrc?: boolean;
  /** What the records of one batch may take uncompressed, in bytes. Default: 64 MiB. */
  readonly maxDecompressedBytes?: number;
}

/**
 * A received batch. The header is checked when it is read; records are decompressed when the
 * first of them is asked for, and checked one by one as they are walked over.
 */
export class RecordBatchView {
  readonly header: BatchHeader;
  readonly #buffer: Buffer;
  readonly #position: number;
  readonly #maxDecompressedBytes: number;
  #decompressed: Buffer | undefined;

  private constructor(
    header: BatchHeader,
    buffer: Buffer,
    position: number,
    maxDecompressedBytes: number,
  ) {
    this.header = header;
    this.#buffer = buffer;
    this.#position = position;
    this.#maxDecompressedBytes = maxDecompressedBytes;
  }

  /**
   * Reads the batch that starts at `position`. It must be there to its end.
   *
   * @throws ProtocolError CORRUPT_MESSAGE (length, counts or CRC), UNSUPPORTED_FOR_MESSAGE_FORMAT
   *   (a magic other than 2) or UNSUPPORTED_COMPRESSION_TYPE, naming the base offset.
   */
  static read(buffer: Buffer, position: number, options: ReadOptions = {}): RecordBatchView {
    const left = buffer.length - position;
    if (left < BATCH_OVERHEAD_BYTES) {
      throw new ProtocolError(
        'CORRUPT_MESSAGE',
        `Record batch at byte ${position}: ${left} bytes are left, fewer than a batch header has`,
      );
    }
    const header = readBatchHeader(buffer, position);
    const problem = headerProblem(header, left);
    if (problem !== undefined) throw batchError(header, position, 'CORRUPT_MESSAGE', problem);
    if (header.magic !== MAGIC) {
      const what = `has magic ${header.magic}; only 2 is supported`;
      throw batchError(header, position, 'UNSUPPORTED_FOR_MESSAGE_FORMAT', what);
    }
    if (options.checkCrc ?? true) {
      const end = position + header.sizeBytes;
      const start = position + at.attributes;
      const crc = crc32c(viewOf(buffer, start, end - start));
      if (crc !== header.crc) {
        const what = `has CRC-32C ${hex(header.crc)}, but its content gives ${hex(crc)}`;
        throw batchError(header, position, 'CORRUPT_MESSAGE', what);
      }
    }
    const codec = header.attributes & attribute.codecMask;
    if (compressionName(codec) === undefined) {
      const what = `names codec ${codec}, which is not defined`;
      throw batchError(header, position, 'UNSUPPORTED_COMPRESSION_TYPE', what);
    }
    const maxBytes = options.maxDecompressedBytes ?? DEFAULT_MAX_DECOMPRESSED_BYTES;
    return new RecordBatchView(header, buffer, position, maxBytes);
  }

  get baseOffset(): number {
    return this.header.baseOffset;
  }

  /** The offset of the last record the batch was written with (compaction may remove that). */
  get lastOffset(): number {
    return this.header.baseOffset + this.header.lastOffsetDelta;
  }

  /** How many records there are now: compaction leaves fewer than there are offsets. */
  get recordCount(): number {
    return this.header.recordCount;
  }

  /** The whole batch as it was received, its header included; a view, not a copy. */
  get bytes(): Buffer {
    return viewOf(this.#buffer, this.#position, this.header.sizeBytes);
  }

  /** Whether the records mark the end of a transaction and are not for applications. */
  get isControl(): boolean {
    return (this.header.attributes & attribute.control) !== 0;
  }

  /**
   * A new cursor before the first record.
   *
   * @throws ProtocolError when the records cannot be decompressed: CORRUPT_MESSAGE,
   *   MESSAGE_TOO_LARGE (`maxDecompressedBytes`), UNSUPPORTED_COMPRESSION_TYPE.
   */
  cursor(): RecordCursor {
    const { header } = this;
    if ((header.attributes & attribute.codecMask) === 0) {
      const start = this.#position + BATCH_OVERHEAD_BYTES;
      return new RecordCursor(header, this.#buffer, start, this.#position + header.sizeBytes);
    }
    this.#decompressed ??= this.#decompress();
    return new RecordCursor(header, this.#decompressed, 0, this.#decompressed.length);
  }

  /** The records one by one, each an object of its own; {@link cursor} is faster. */
  *[Symbol.iterator](): Iterator<RecordView> {
    const cursor = this.cursor();
    while (cursor.next()) yield new RecordView(cursor);
  }

  #decompress(): Buffer {
    const { header } = this;
    const length = header.sizeBytes - BATCH_OVERHEAD_BYTES;
    const source = viewOf(this.#buffer, this.#position + BATCH_OVERHEAD_BYTES, length);
    const codec = codecFor(compressionName(header.attributes & attribute.codecMask) ?? 'none');
    try {
      return codec.decompress(source, this.#maxDecompressedBytes);
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause;
      const what = `cannot be decompressed: ${cause.message}`;
      throw batchError(header, this.#position, cause.errorName, what, cause);
    }
  }
}

/**
 * The whole batches of a fetch, one after the other. A partial one at the end is left out: a
 * broker cuts its answer at a number of bytes, as Kafka's does.
 *
 * @throws ProtocolError as {@link RecordBatchView.read} does, once it gets to a damaged batch.
 */
export function* readBatches(
  buffer: Buffer,
  options: ReadOptions = {},
): Generator<RecordBatchView, void> {
  let position = 0;
  while (position + LENGTH_PREFIX_BYTES <= buffer.length) {
    const batchLength = buffer.readInt32BE(position + at.batchLength);
    if (batchLength < MIN_BATCH_LENGTH) {
      const baseOffset = readInt64(buffer, position);
      throw new ProtocolError(
        'CORRUPT_MESSAGE',
        `Record batch at base offset ${baseOffset} (byte ${position}) claims a length of ` +
          `${batchLength} bytes; its header alone takes ${MIN_BATCH_LENGTH}`,
      );
    }
    const end = position + LENGTH_PREFIX_BYTES + batchLength;
    if (end > buffer.length) return;
    yield RecordBatchView.read(buffer, position, options);
    position = end;
  }
}

function headerProblem(header: BatchHeader, left: number): string | undefined {
  if (header.batchLength < MIN_BATCH_LENGTH) {
    return `claims a length of ${header.batchLength} bytes; its header takes ${MIN_BATCH_LENGTH}`;
  }
  if (header.sizeBytes > left) return `has ${header.sizeBytes} bytes, of which ${left} are there`;
  if (header.recordCount < 0) return `claims ${header.recordCount} records`;
  if (header.lastOffsetDelta < 0) return `has last offset delta ${header.lastOffsetDelta}`;
  if (header.recordCount > header.lastOffsetDelta + 1) {
    return `claims ${header.recordCount} records for ${header.lastOffsetDelta + 1} offsets`;
  }
  const offsetsSafe = Number.isSafeInteger(header.baseOffset + header.lastOffsetDelta);
  if (!offsetsSafe || header.baseOffset < 0) return 'has offsets that are no safe integers';
  const times = [header.baseTimestampMs, header.maxTimestampMs];
  return times.every(Number.isSafeInteger) ? undefined : 'has timestamps beyond 2^53';
}

function batchError(
  header: BatchHeader,
  position: number,
  errorName: ProtocolError['errorName'],
  what: string,
  cause?: unknown,
): ProtocolError {
  const message = `Record batch at base offset ${header.baseOffset} (byte ${position}) ${what}`;
  return new ProtocolError(errorName, message, cause === undefined ? undefined : { cause });
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
