import { firstNullKey } from '@millrace/protocol';
import type { ByteChunks } from '@millrace/protocol';
import { nextTurn } from '../../storage/warm-up.js';

/** Looks for records without a key, away from the event loop. */
export interface NullKeyFinder {
  /**
   * The index of the first record without a key; undefined when each has one.
   * @param bytes one batch that was found good but for its records. They do not change meanwhile.
   * @throws ProtocolError for records that cannot be unpacked, or are malformed: see `firstNullKey`;
   *   STORAGE_ERROR where they could not be looked at.
   */
  find(bytes: ByteChunks, maxUnpackedBytes: number): Promise<number | undefined>;
  /** Resolves when what was asked for is answered, and nothing is kept for more. */
  close(): Promise<void>;
}

/** Looks on the thread of the caller, in a turn of the event loop for each batch. */
export const inlineFinder: NullKeyFinder = {
  find: async (bytes, maxUnpackedBytes) => {
    await nextTurn();
    return firstNullKey(bytes, maxUnpackedBytes);
  },
  close: () => Promise.resolve(),
};
