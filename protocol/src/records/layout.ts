/**
 * Kafka's RecordBatch v2 (magic 2), as KIP-98 and the Kafka documentation ("Record Batch") lay it
 * out. All integers are big-endian; the records themselves use zig-zag varints.
 *
 * ```text
 *  0 i64 baseOffset            21 i16 attributes          51 i16 producerEpoch
 *  8 i32 batchLength           23 i32 lastOffsetDelta     53 i32 baseSequence
 * 12 i32 partitionLeaderEpoch  27 i64 baseTimestamp       57 i32 recordCount
 * 16 i8  magic (2)             35 i64 maxTimestamp        61 records…
 * 17 u32 crc (CRC-32C of everything from 21 to the end)
 *                              43 i64 producerId
 * ```
 *
 * `batchLength` counts what follows it. Attributes: bits 0–2 codec, 3 timestamp type (1: the
 * broker's append time), 4 transactional, 5 control, 6 the base timestamp is a delete horizon.
 */
export const BATCH_OVERHEAD_BYTES = 61;

/** Byte positions of the fields within a batch. */
export const at = {
  baseOffset: 0,
  batchLength: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const;

/** The only format that is stored, sent and accepted. */
export const MAGIC = 2;
/** Bytes before those that `batchLength` counts: base offset and the length itself. */
export const LENGTH_PREFIX_BYTES = 12;
/** The smallest `batchLength` that holds all header fields. */
export const MIN_BATCH_LENGTH = BATCH_OVERHEAD_BYTES - LENGTH_PREFIX_BYTES;
/** A batch's length is a positive 32-bit integer. */
export const MAX_BATCH_BYTES = 0x7fff_ffff;
/** Length, attributes, two deltas, two lengths and a header count, of one byte each. */
export const MIN_RECORD_BYTES = 7;

/** Bits of the attributes field. */
export const attribute = {
  codecMask: 0x07,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
} as const;

/** The fixed fields of a batch. Times are milliseconds since 1970, lengths are bytes. */
export interface BatchHeader {
  readonly baseOffset: number;
  /** Bytes after this field; see `sizeBytes` for the whole. */
  readonly batchLength: number;
  /** The whole batch: 12 + `batchLength`. */
  readonly sizeBytes: number;
  readonly partitionLeaderEpoch: number;
  readonly magic: number;
  /** CRC-32C, unsigned. */
  readonly crc: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
  /** -1: the producer is not idempotent. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
}

/** Reads a 64-bit integer as a number; beyond 2^53 it is rounded, so check it is safe. */
export function readInt64(buffer: Buffer, position: number): number {
  return buffer.readInt32BE(position) * 0x1_0000_0000 + buffer.readUInt32BE(position + 4);
}

/** Writes a safe integer as 64 bits. */
export function writeInt64(buffer: Buffer, position: number, value: number): void {
  buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), position);
  buffer.writeUInt32BE(value >>> 0, position + 4);
}

/**
 * The header fields as they stand, unchecked: neither magic nor length nor CRC, and 64-bit
 * fields that are no safe integers come out rounded.
 *
 * @param buffer must hold at least {@link BATCH_OVERHEAD_BYTES} from `position` on.
 * @throws RangeError when it does not.
 */
export function readBatchHeader(buffer: Buffer, position = 0): BatchHeader {
  const batchLength = buffer.readInt32BE(position + at.batchLength);
  return {
    baseOffset: readInt64(buffer, position + at.baseOffset),
    batchLength,
    sizeBytes: LENGTH_PREFIX_BYTES + batchLength,
    partitionLeaderEpoch: buffer.readInt32BE(position + at.partitionLeaderEpoch),
    magic: buffer.readInt8(position + at.magic),
    crc: buffer.readUInt32BE(position + at.crc),
    attributes: buffer.readInt16BE(position + at.attributes),
    lastOffsetDelta: buffer.readInt32BE(position + at.lastOffsetDelta),
    baseTimestampMs: readInt64(buffer, position + at.baseTimestamp),
    maxTimestampMs: readInt64(buffer, position + at.maxTimestamp),
    producerId: readInt64(buffer, position + at.producerId),
    producerEpoch: buffer.readInt16BE(position + at.producerEpoch),
    baseSequence: buffer.readInt32BE(position + at.baseSequence),
    recordCount: buffer.readInt32BE(position + at.recordCount),
  };
}
