import { firstNullKey, ProtocolError } from '@millrace/protocol';
import type { BatchHeader, ByteChunks } from '@millrace/protocol';
import type { NullKeyFinder } from './finder.js';

const KiB = 1024;
const MiB = 1024 * KiB;
/** Where a batch's attributes name its codec; 0: none. */
const CODEC_MASK = 0x07;

/** Compressed batches up to this size are unpacked at once ... */
const MAX_INLINE_BYTES = 4 * KiB;
/** ... if this takes what is in them: to ask a thread costs more than that. */
const MAX_INLINE_UNPACKED_BYTES = 64 * KiB;
/**
 * What the records of one compressed batch may unpack to in a compacted topic. Kafka's clients fill
 * batches of 16 KiB to 1 MiB before they compress them; `max.message.bytes` counts if it is larger.
 */
export const MAX_UNPACKED_BYTES = 16 * MiB;

/** A batch for a compacted topic. */
export interface KeyedBatch {
  readonly bytes: ByteChunks;
  readonly header: BatchHeader;
  /** For messages: `topic-partition`. */
  readonly partition: string;
  readonly maxMessageBytes: number;
}

/**
 * Refuses a batch in which a record has no key, as Kafka does: compaction keeps the last record of each
 * key. Batches that are not compressed, and small ones, are looked through at once.
 * @returns undefined when all records have keys; else a promise that resolves when that is known.
 * @throws ProtocolError INVALID_RECORD naming the record, and what `firstNullKey` throws; also by the
 *   promise.
 */
export function checkKeys(batch: KeyedBatch, finder: NullKeyFinder): Promise<void> | undefined {
  const { bytes, header, maxMessageBytes } = batch;
  const compressed = (header.attributes & CODEC_MASK) !== 0;
  if (!compressed || header.sizeBytes <= MAX_INLINE_BYTES) {
    const maxBytes = compressed ? MAX_INLINE_UNPACKED_BYTES : maxMessageBytes;
    try {
      refuse(batch, firstNullKey(bytes, maxBytes));
      return undefined;
    } catch (error) {
      const larger = error instanceof ProtocolError && error.errorName === 'MESSAGE_TOO_LARGE';
      if (!compressed || !larger) throw error;
    }
  }
  const maxUnpackedBytes = Math.max(MAX_UNPACKED_BYTES, maxMessageBytes);
  return finder.find(bytes, maxUnpackedBytes).then((index) => refuse(batch, index));
}

function refuse({ partition }: KeyedBatch, index: number | undefined): void {
  if (index === undefined) return;
  throw new ProtocolError(
    'INVALID_RECORD',
    `${partition}: record ${index} of the batch has no key, and the topic is compacted ` +
      '(cleanup.policy): give every record a key',
  );
}
