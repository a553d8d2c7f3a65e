import { ProtocolError } from '../errors.js';
import { codecFor, codecId } from './compression/codecs.js';
import type { Codec, CompressionName } from './compression/codec.js';
import { crc32c } from './crc.js';
import {
  at,
  BATCH_OVERHEAD_BYTES,
  LENGTH_PREFIX_BYTES,
  MAGIC,
  MAX_BATCH_BYTES,
  writeInt64,
} from './layout.js';
import {
  exactBytes,
  guessBytes,
  maxBytes,
  measureHeaders,
  room,
  writeBytes,
  writeHeaders,
  type RecordBytes,
  type RecordHeadersInput,
} from './record-bytes.js';
import { varintBytes, varlongBytes, writeVarint, writeVarlong, zigzag } from './varint.js';

/** What a batch says beside its records. -1 stands for none, as in Kafka. */
export interface BatchStamp {
  /** Default: -1. */
  readonly producerId?: number;
  /** Default: -1. */
  readonly producerEpoch?: number;
  /** Sequence number of the first record. Default: -1. */
  readonly baseSequence?: number;
  /** Default: 0; a broker assigns it. */
  readonly baseOffset?: number;
  /** Default: -1; a broker assigns it. */
  readonly leaderEpoch?: number;
}

const DEFAULT_INITIAL_BYTES = 16 * 1024;
/** Record length, attributes, timestamp, offset, key and value lengths, header count. */
const MAX_RECORD_OVERHEAD_BYTES = 5 + 1 + 10 + 5 + 5 + 5 + 5;
const MAX_HEADER_OVERHEAD_BYTES = 5 + 5;
/**
 * Encodes records straight into one growing buffer, which `reset()` keeps for the next batch.
 *
 * The first record's timestamp is the batch's base timestamp. Nothing is kept of what `append`
 * is given.
 */
export class RecordBatchBuilder {
  readonly #codec: Codec;
  readonly #attributes: number;
  #buffer: Buffer;
  #position = BATCH_OVERHEAD_BYTES;
  #count = 0;
  #baseTimestampMs = -1;
  #maxTimestampMs = -1;

  /**
   * @param options `compression`: default none. `initialBytes`: the buffer to start with, default
   *   16 KiB; it doubles as needed.
   */
  constructor(
    options: { readonly compression?: CompressionName; readonly initialBytes?: number } = {},
  ) {
    const compression = options.compression ?? 'none';
    this.#codec = codecFor(compression);
    this.#attributes = codecId(compression);
    const bytes = Math.max(options.initialBytes ?? DEFAULT_INITIAL_BYTES, BATCH_OVERHEAD_BYTES);
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  get recordCount(): number {
    return this.#count;
  }

  /** Bytes of the batch so far, its header included, uncompressed. */
  get sizeBytes(): number {
    return this.#position;
  }

  /** An upper bound of the bytes that `append` would add, without looking at any text. */
  estimate(key: RecordBytes, value: RecordBytes, headers: RecordHeadersInput | null): number {
    let bytes = MAX_RECORD_OVERHEAD_BYTES + maxBytes(key) + maxBytes(value);
    if (headers === null) return bytes;
    for (const [name, content] of headers) {
      bytes += MAX_HEADER_OVERHEAD_BYTES + maxBytes(name) + maxBytes(content);
    }
    return bytes;
  }

  /**
   * Adds one record. When it throws, the batch is as it was.
   *
   * @param timestampMs milliseconds since 1970, -1 for none.
   * @throws ProtocolError INVALID_TIMESTAMP, or MESSAGE_TOO_LARGE when the batch would exceed
   *   what its 32-bit length can tell (2 GiB).
   */
  append(
    key: RecordBytes,
    value: RecordBytes,
    headers: RecordHeadersInput | null,
    timestampMs: number,
  ): void {
    if (!Number.isSafeInteger(timestampMs) || timestampMs < -1) {
      throw new ProtocolError(
        'INVALID_TIMESTAMP',
        `A record has timestamp ${timestampMs}: it must be milliseconds since 1970, or -1`,
      );
    }
    const keyBytes = guessBytes(key);
    const valueBytes = guessBytes(value);
    const headersBytes = headers === null || headers.length === 0 ? 0 : measureHeaders(headers);
    // Text is taken for ASCII at first: measuring it costs half as much as writing it.
    if (this.#encode(key, keyBytes, value, valueBytes, headers, headersBytes, timestampMs)) return;
    this.#encode(
      key,
      exactBytes(key),
      value,
      exactBytes(value),
      headers,
      headersBytes,
      timestampMs,
    );
  }

  /**
   * The whole batch with its CRC, as bytes of its own. Always compresses when the builder was
   * made to, even where that makes it larger. The builder keeps its records until `reset()`.
   *
   * @throws ProtocolError INVALID_RECORD when it has no records, UNSUPPORTED_COMPRESSION_TYPE
   *   when the codec's library does not load here.
   */
  build(options: BatchStamp = {}): Buffer {
    if (this.#count === 0) {
      throw new ProtocolError('INVALID_RECORD', 'A batch of no records cannot be built: append');
    }
    const records = this.#buffer.subarray(BATCH_OVERHEAD_BYTES, this.#position);
    const payload = this.#codec.compress(records);
    const batch = Buffer.allocUnsafe(BATCH_OVERHEAD_BYTES + payload.length);
    batch.set(payload, BATCH_OVERHEAD_BYTES);
    writeInt64(batch, at.baseOffset, options.baseOffset ?? 0);
    batch.writeInt32BE(batch.length - LENGTH_PREFIX_BYTES, at.batchLength);
    batch.writeInt32BE(options.leaderEpoch ?? -1, at.partitionLeaderEpoch);
    batch.writeInt8(MAGIC, at.magic);
    batch.writeInt16BE(this.#attributes, at.attributes);
    batch.writeInt32BE(this.#count - 1, at.lastOffsetDelta);
    writeInt64(batch, at.baseTimestamp, this.#baseTimestampMs);
    writeInt64(batch, at.maxTimestamp, this.#maxTimestampMs);
    batch.writeInt32BE(this.#count, at.recordCount);
    restampProducer(
      batch,
      options.producerId ?? -1,
      options.producerEpoch ?? -1,
      options.baseSequence ?? -1,
    );
    return batch;
  }

  /** Forgets the records and keeps the buffer. */
  reset(): void {
    this.#position = BATCH_OVERHEAD_BYTES;
    this.#count = 0;
    this.#maxTimestampMs = -1;
  }

  /** False, and nothing added, when text turned out to have another length than was said. */
  #encode(
    key: RecordBytes,
    keyBytes: number,
    value: RecordBytes,
    valueBytes: number,
    headers: RecordHeadersInput | null,
    headersBytes: number,
    timestampMs: number,
  ): boolean {
    const baseTimestampMs = this.#count === 0 ? timestampMs : this.#baseTimestampMs;
    const timestampDelta = timestampMs - baseTimestampMs;
    const headerCount = headers === null ? 0 : headers.length;
    const keyField = zigzag(keyBytes);
    const valueField = zigzag(valueBytes);
    const offsetField = zigzag(this.#count);
    const countField = zigzag(headerCount);
    const lengthField = zigzag(
      1 +
        varlongBytes(timestampDelta) +
        varintBytes(offsetField) +
        varintBytes(keyField) +
        varintBytes(valueField) +
        varintBytes(countField) +
        Math.max(keyBytes, 0) +
        Math.max(valueBytes, 0) +
        headersBytes,
    );
    this.#reserve(
      MAX_RECORD_OVERHEAD_BYTES + room(key, keyBytes) + room(value, valueBytes) + headersBytes,
    );
    const buffer = this.#buffer;
    let position = writeVarint(buffer, this.#position, lengthField);
    buffer[position++] = 0;
    position = writeVarlong(buffer, position, timestampDelta);
    position = writeVarint(buffer, position, offsetField);
    position = writeVarint(buffer, position, keyField);
    if (keyBytes > 0) {
      if (!writeBytes(buffer, position, key, keyBytes)) return false;
      position += keyBytes;
    }
    position = writeVarint(buffer, position, valueField);
    if (valueBytes > 0) {
      if (!writeBytes(buffer, position, value, valueBytes)) return false;
      position += valueBytes;
    }
    position = writeVarint(buffer, position, countField);
    if (headers !== null && headerCount > 0) position = writeHeaders(buffer, position, headers);

    this.#position = position;
    if (this.#count === 0) this.#baseTimestampMs = timestampMs;
    this.#count++;
    if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    return true;
  }

  #reserve(bytes: number): void {
    const needed = this.#position + bytes;
    if (needed <= this.#buffer.length) return;
    if (needed > MAX_BATCH_BYTES) {
      throw new ProtocolError(
        'MESSAGE_TOO_LARGE',
        `A record would make the batch larger than ${MAX_BATCH_BYTES} bytes: build it before`,
      );
    }
    const grown = Buffer.allocUnsafeSlow(
      Math.min(Math.max(needed, this.#buffer.length * 2), MAX_BATCH_BYTES),
    );
    this.#buffer.copy(grown, 0, 0, this.#position);
    this.#buffer = grown;
  }
}

/**
 * Changes the producer fields of a built batch and recomputes its CRC: after an epoch bump the
 * batches that are retried start a new sequence.
 *
 * @param batch one whole batch, changed in place.
 */
export function restampProducer(
  batch: Buffer,
  producerId: number,
  producerEpoch: number,
  baseSequence: number,
): void {
  writeInt64(batch, at.producerId, producerId);
  batch.writeInt16BE(producerEpoch, at.producerEpoch);
  batch.writeInt32BE(baseSequence, at.baseSequence);
  batch.writeUInt32BE(crc32c(batch.subarray(at.attributes)), at.crc);
}
