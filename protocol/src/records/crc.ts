import { createRequire } from 'node:module';

import type * as Crc32Library from '@node-rs/crc32';

import { ByteChunks } from '../bytes.js';

/*
 * Required, not imported: to import a CommonJS module Node reads it once more for the names that it
 * exports, and this generated one is so long that it took a sixth of a command's start.
 */
const { crc32c: nativeCrc32c } = createRequire(import.meta.url)(
  '@node-rs/crc32',
) as typeof Crc32Library;

/**
 * CRC-32C (Castagnoli; RFC 3720 appendix B.4 has test vectors), unsigned. Chunks are summed one
 * after the other: nothing is copied.
 */
export function crc32c(bytes: Uint8Array | ByteChunks): number {
  if (!(bytes instanceof ByteChunks)) return nativeCrc32c(bytes, 0);
  let crc = 0;
  for (const chunk of bytes.chunks) crc = nativeCrc32c(chunk, crc);
  return crc;
}

/** Continues a sum over more bytes; 0 starts one. */
export function continueCrc32c(crc: number, bytes: Uint8Array): number {
  return nativeCrc32c(bytes, crc);
}
