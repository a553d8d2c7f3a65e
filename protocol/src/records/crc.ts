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

let continued: Crc32c = libraryCrc32c;

/** The check value that catalogues of CRCs give: that of the digits 1 to 9. */
const CHECKED_DIGITS = Buffer.from('123456789');
const CHECK_VALUE = 0xe3069283;

/**
 * Has all sums of this thread computed by `faster` from now on, and not by the library.
 * @throws Error when it computes something else.
 */
export function useCrc32c(faster: Crc32c): void {
  const halfway = faster(CHECKED_DIGITS.subarray(0, 4), 0);
  const sum = faster(CHECKED_DIGITS.subarray(4), halfway);
  if (sum !== CHECK_VALUE) {
    throw new Error(`not a CRC-32C: 123456789 gives ${sum.toString(16)}, not e3069283`);
  }
  continued = faster;
}

/**
 * CRC-32C (Castagnoli; RFC 3720 appendix B.4 has test vectors), unsigned. Chunks are summed one
 * after the other: nothing is copied.
 */
export function crc32c(bytes: Uint8Array | ByteChunks): number {
  if (!(bytes instanceof ByteChunks)) return continued(bytes, 0);
  let crc = 0;
  for (const chunk of bytes.chunks) crc = continued(chunk, crc);
  return crc;
}

/** {@link Crc32c}, by what computes sums here. */
export function continueCrc32c(crc: number, bytes: Uint8Array): number {
  return continued(bytes, crc);
}
