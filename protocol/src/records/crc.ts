import { createRequire } from 'node:module';

import type * as Crc32Library from '@node-rs/crc32';

import { ByteChunks } from '../bytes.js';

/*
 * Required, not imported: to import a CommonJS module Node reads it once more for the names that it
 * exports, and this generated one is so long that it took a sixth of a command's start.
 */
const { crc32c: libraryCrc32c } = createRequire(import.meta.url)(
  '@node-rs/crc32',
) as typeof Crc32Library;

/** Continues a CRC-32C, unsigned, over more bytes; 0 starts one. */
export type Crc32c = (bytes: Uint8Array, crc: number) => number;

let summed: Crc32c = libraryCrc32c;

/** Long enough for several rounds of sums that are made side by side, and with a tail. */
const CHECKED_BYTES = 20_011;

/**
 * Has all sums of this thread computed by `faster` from now on, and not by the library.
 * @throws Error when it computes something else: over 20,011 bytes at an odd address, begun and continued.
 */
export function useCrc32c(faster: Crc32c): void {
  const bytes = Buffer.from(
    Array.from({ length: CHECKED_BYTES }, (_, i) => (i * 7919) % 251),
  ).subarray(1);
  for (const crc of [0, 0xe3069283]) {
    const [sum, expected] = [faster(bytes, crc), libraryCrc32c(bytes, crc)];
    if (sum === expected) continue;
    throw new Error(
      `not a CRC-32C: ${sum.toString(16)} where the library computes ${expected.toString(16)}; ` +
        'if it is from the native module, build that again (npm rebuild @millrace/native), or do ' +
        'without it (MILLRACE_NO_NATIVE=1)',
    );
  }
  summed = faster;
}

/**
 * CRC-32C (Castagnoli; RFC 3720 appendix B.4 has test vectors), unsigned. Chunks are summed one
 * after the other: nothing is copied.
 */
export function crc32c(bytes: Uint8Array | ByteChunks): number {
  if (!(bytes instanceof ByteChunks)) return summed(bytes, 0);
  let crc = 0;
  for (const chunk of bytes.chunks) crc = summed(chunk, crc);
  return crc;
}

/** {@link Crc32c}, by what computes sums here. */
export function continueCrc32c(crc: number, bytes: Uint8Array): number {
  return summed(bytes, crc);
}
