import { BATCH_OVERHEAD_BYTES, crc32c } from '@millrace/protocol';

/** Positions in the header of a record batch (magic 2); the checksum covers all from `ATTRIBUTES` on. */
const BATCH_LENGTH_AT = 8;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const RECORD_COUNT_AT = 57;
/** Bytes before those that the batch's length counts. */
const LENGTH_PREFIX_BYTES = 12;
const CODEC_MASK = 0x07;

/**
 * A batch without its records: offsets, timestamps and producer stay, as in Kafka's
 * `DefaultRecordBatch.writeEmptyHeader`. It has no codec: there is nothing to unpack.
 */
export function emptiedBatch(batch: Buffer): Buffer {
  const emptied = Buffer.from(batch.subarray(0, BATCH_OVERHEAD_BYTES));
  const attributes = emptied.readInt16BE(ATTRIBUTES_AT);
  emptied.writeInt32BE(BATCH_OVERHEAD_BYTES - LENGTH_PREFIX_BYTES, BATCH_LENGTH_AT);
  emptied.writeInt16BE(attributes & ~CODEC_MASK, ATTRIBUTES_AT);
  emptied.writeInt32BE(0, RECORD_COUNT_AT);
  emptied.writeUInt32BE(crc32c(emptied.subarray(ATTRIBUTES_AT)), CRC_AT);
  return emptied;
}
