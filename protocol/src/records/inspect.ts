import type { ByteChunks } from '../bytes.js';
import { ProtocolError, type ErrorName } from '../errors.js';
import { viewOf } from './buffer-view.js';
import { compressionName } from './compression/codecs.js';
import { continueCrc32c } from './crc.js';
import {
  at,
  attribute,
  BATCH_OVERHEAD_BYTES,
  MAGIC,
  MIN_BATCH_LENGTH,
  MIN_RECORD_BYTES,
  readBatchHeader,
  type BatchHeader,
} from './layout.js';

/** What a batch may be to be accepted. */
export interface BatchLimits {
  /** The whole batch, header included, as it is sent (compressed). */
  readonly maxBatchBytes: number;
  readonly maxRecordsPerBatch: number;
  /** The latest timestamp, in milliseconds since 1970. Default: none. */
  readonly maxTimestampMs?: number;
  /** How many batches there may be. Default: any number. */
  readonly maxBatches?: number;
}

/** A batch that was found good, and where it starts in the bytes that were inspected. */
export interface InspectedBatch {
  readonly header: BatchHeader;
  readonly position: number;
}

/**
 * Checks what a producer sent: exactly whole batches, at least one, each with the right magic,
 * length, CRC-32C and counts, a defined codec and acceptable timestamps. Nothing is decompressed
 * or copied, however the bytes are split; what the records hold is the reader's to check.
 *
 * The base offset is not checked, a broker assigns it. As in Kafka, producers may not write
 * control batches nor claim the broker's append time. Transactions do not exist.
 *
 * @throws ProtocolError for the first bad batch, naming its position: CORRUPT_MESSAGE,
 *   MESSAGE_TOO_LARGE, UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE,
 *   INVALID_RECORD or INVALID_TIMESTAMP.
 */
export function inspectBatches(bytes: ByteChunks, limits: BatchLimits): InspectedBatch[] {
  if (bytes.length === 0) {
    throw new ProtocolError('CORRUPT_MESSAGE', 'There is no record batch: the payload is empty');
  }
  const batches: InspectedBatch[] = [];
  const chunks = new ChunkReader(bytes);
  const maxBatches = limits.maxBatches ?? Infinity;
  let position = 0;
  while (position < bytes.length) {
    const header = chunks.headerAt(position);
    checkFraming(header, position, bytes.length - position, limits);
    // Before the checksum: what is refused in any case must not cost a walk through it.
    const bytesAfter = bytes.length - position - header.sizeBytes;
    if (batches.length + 1 >= maxBatches && bytesAfter > 0) {
      const what = `is followed by ${bytesAfter} bytes, where exactly ${maxBatches} may be sent`;
      throw batchError('INVALID_RECORD', header, position, what);
    }
    const crc = chunks.crc32c(position + at.attributes, header.sizeBytes - at.attributes);
    if (crc !== header.crc) {
      const what = `has CRC-32C ${hex(header.crc)}, but its content gives ${hex(crc)}`;
      throw batchError('CORRUPT_MESSAGE', header, position, `${what}: send it again`);
    }
    checkContent(header, position, limits);
    batches.push({ header, position });
    position += header.sizeBytes;
  }
  return batches;
}

/** Length and magic: what must be right before the CRC can be computed. */
function checkFraming(
  header: BatchHeader,
  position: number,
  left: number,
  limits: BatchLimits,
): void {
  if (header.magic !== MAGIC) {
    const what = `has magic ${header.magic}; only 2 is supported: use a newer client`;
    throw batchError('UNSUPPORTED_FOR_MESSAGE_FORMAT', header, position, what);
  }
  if (header.batchLength < MIN_BATCH_LENGTH) {
    const what = `claims a length of ${header.batchLength}; its header takes ${MIN_BATCH_LENGTH}`;
    throw batchError('CORRUPT_MESSAGE', header, position, what);
  }
  if (header.sizeBytes > limits.maxBatchBytes) {
    const what =
      `has ${header.sizeBytes} bytes, more than the ${limits.maxBatchBytes} allowed ` +
      '(max.message.bytes): send smaller batches or raise the limit';
    throw batchError('MESSAGE_TOO_LARGE', header, position, what);
  }
  if (header.sizeBytes > left) {
    const what = `has ${header.sizeBytes} bytes, of which ${left} are there`;
    throw batchError('CORRUPT_MESSAGE', header, position, what);
  }
}

/** What the CRC vouches for to be what the producer meant. */
function checkContent(header: BatchHeader, position: number, limits: BatchLimits): void {
  const fail = (errorName: ErrorName, what: string): never => {
    throw batchError(errorName, header, position, what);
  };
  const { attributes, recordCount } = header;
  const codec = attributes & attribute.codecMask;
  if (compressionName(codec) === undefined) {
    fail('UNSUPPORTED_COMPRESSION_TYPE', `names codec ${codec}, which is not defined`);
  }
  if (recordCount <= 0) fail('INVALID_RECORD', `claims ${recordCount} records`);
  if (header.lastOffsetDelta + 1 !== recordCount) {
    const what = `claims ${recordCount} records, but last offset delta ${header.lastOffsetDelta}`;
    fail('INVALID_RECORD', what);
  }
  if (recordCount > limits.maxRecordsPerBatch) {
    const what = `has ${recordCount} records, more than the ${limits.maxRecordsPerBatch} allowed`;
    fail('MESSAGE_TOO_LARGE', `${what}: send smaller batches`);
  }
  const recordsBytes = header.sizeBytes - BATCH_OVERHEAD_BYTES;
  if (codec === 0 && recordCount * MIN_RECORD_BYTES > recordsBytes) {
    fail('INVALID_RECORD', `claims ${recordCount} records in ${recordsBytes} bytes`);
  }
  if ((attributes & attribute.control) !== 0) {
    fail('INVALID_RECORD', 'is a control batch, which clients may not write');
  }
  if ((attributes & attribute.transactional) !== 0) {
    fail('INVALID_RECORD', 'belongs to a transaction; transactions are not supported');
  }
  checkTimestamps(header, limits, fail);
  checkProducer(header, fail);
}

function checkTimestamps(
  header: BatchHeader,
  limits: BatchLimits,
  fail: (errorName: ErrorName, what: string) => never,
): void {
  const { baseTimestampMs, maxTimestampMs } = header;
  if ((header.attributes & attribute.logAppendTime) !== 0) {
    fail('INVALID_TIMESTAMP', 'claims the append time, which only the broker can set');
  }
  // Their order is not checked: some clients take the last record's timestamp for the maximum.
  const safe = Number.isSafeInteger(baseTimestampMs) && Number.isSafeInteger(maxTimestampMs);
  if (!safe || baseTimestampMs < -1 || maxTimestampMs < -1) {
    const what = `has base timestamp ${baseTimestampMs} and maximum ${maxTimestampMs}`;
    fail('INVALID_TIMESTAMP', `${what}: they must be milliseconds since 1970, or -1`);
  }
  const latest = limits.maxTimestampMs ?? Number.MAX_SAFE_INTEGER;
  if (maxTimestampMs > latest || baseTimestampMs > latest) {
    const time = Math.max(maxTimestampMs, baseTimestampMs);
    const what = `has timestamp ${time}, later than the ${latest} allowed`;
    fail('INVALID_TIMESTAMP', `${what}: check the producer's clock, times are milliseconds`);
  }
}

function checkProducer(
  header: BatchHeader,
  fail: (errorName: ErrorName, what: string) => never,
): void {
  const { producerId, producerEpoch, baseSequence } = header;
  if (producerId === -1) return;
  const valid = Number.isSafeInteger(producerId) && producerId >= 0;
  if (valid && producerEpoch >= 0 && baseSequence >= 0) return;
  const what = `has producer id ${producerId}, epoch ${producerEpoch}, sequence ${baseSequence}`;
  fail('INVALID_RECORD', `${what}: none of them may be negative when there is an id`);
}

function batchError(
  errorName: ErrorName,
  header: BatchHeader,
  position: number,
  what: string,
): ProtocolError {
  const which = `Record batch at byte ${position} (base offset ${header.baseOffset})`;
  return new ProtocolError(errorName, `${which} ${what}`);
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** Reads forward over chunks and remembers where it is: a payload is walked over only once. */
class ChunkReader {
  readonly #bytes: ByteChunks;
  #index = 0;
  #chunkStart = 0;

  constructor(bytes: ByteChunks) {
    this.#bytes = bytes;
  }

  headerAt(position: number): BatchHeader {
    const left = this.#bytes.length - position;
    if (left < BATCH_OVERHEAD_BYTES) {
      const which = `Record batch at byte ${position}`;
      // Older formats, whose batches can be shorter, have their magic at the same place.
      const magic = left > at.magic ? this.#bytes.view(position + at.magic, 1).readInt8() : MAGIC;
      if (magic !== MAGIC) {
        const what = `has magic ${magic}; only 2 is supported: use a newer client`;
        throw new ProtocolError('UNSUPPORTED_FOR_MESSAGE_FORMAT', `${which} ${what}`);
      }
      const what = `${left} bytes are left, but its header takes ${BATCH_OVERHEAD_BYTES}`;
      throw new ProtocolError('CORRUPT_MESSAGE', `${which}: ${what}`);
    }
    const chunk = this.#chunkAt(position);
    const local = position - this.#chunkStart;
    if (local + BATCH_OVERHEAD_BYTES <= chunk.length) return readBatchHeader(chunk, local);
    return readBatchHeader(this.#bytes.view(position, BATCH_OVERHEAD_BYTES));
  }

  /** The sum over a range that is known to be there. */
  crc32c(start: number, length: number): number {
    let position = start;
    let crc = 0;
    const end = start + length;
    while (position < end) {
      const chunk = this.#chunkAt(position);
      const local = position - this.#chunkStart;
      const count = Math.min(end - position, chunk.length - local);
      crc = continueCrc32c(crc, viewOf(chunk, local, count));
      position += count;
    }
    return crc;
  }

  /** The chunk that holds a position, which is never before the one asked for last. */
  #chunkAt(position: number): Buffer {
    for (;;) {
      const chunk = this.#bytes.chunks[this.#index];
      if (chunk === undefined) throw new RangeError(`Byte ${position} is beyond the chunks`);
      if (position < this.#chunkStart + chunk.length) return chunk;
      this.#chunkStart += chunk.length;
      this.#index++;
    }
  }
}
