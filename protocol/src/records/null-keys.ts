import type { ByteChunks } from '../bytes.js';
import { readBatches } from './view.js';

/**
 * The index, from 0, of the first record that has no key, over all batches in the order they are
 * in; undefined when each has one. A topic that is compacted cannot hold a record without. Batches
 * are decompressed, and walked over up to that record; only bytes in several chunks are copied.
 *
 * @param bytes whole batches that `inspectBatches` found good; CRCs are not checked again.
 * @param maxDecompressedBytes what the records of one batch may take uncompressed.
 * @throws ProtocolError for records that cannot be decompressed (CORRUPT_MESSAGE,
 *   MESSAGE_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE) or are malformed (CORRUPT_MESSAGE).
 */
export function firstNullKey(bytes: ByteChunks, maxDecompressedBytes: number): number | undefined {
  let index = 0;
  for (const batch of readBatches(bytes.toBuffer(), { checkCrc: false, maxDecompressedBytes })) {
    const cursor = batch.cursor();
    while (cursor.next()) {
      if (cursor.keyLength < 0) return index;
      index += 1;
    }
  }
  return undefined;
}
