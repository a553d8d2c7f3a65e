import { createRequire } from 'node:module';

import type * as SnappyLibrary from 'snappy';

import { corrupt, lazily, reason, tooLarge, type Codec } from './codec.js';

const library = lazily(
  'snappy',
  () => createRequire(import.meta.url)('snappy') as typeof SnappyLibrary,
);

/**
 * Kafka's Java clients frame snappy as the xerial library does, which the snappy format itself
 * does not know: this magic, `i32 version · i32 oldest compatible version`, then blocks of
 * `i32 length · raw snappy`. Others write one raw block; both are read.
 */
const XERIAL_MAGIC = Buffer.from('82534e4150505900', 'hex');
const XERIAL_HEADER_BYTES = 16;
const XERIAL_VERSION = 1;
/** Snappy itself splits its input into pieces of this size, so larger blocks save nothing. */
const BLOCK_BYTES = 64 * 1024;

/** Snappy, written in xerial framing. */
export const snappy: Codec = {
  compress(source) {
    const { compressSync } = library();
    const header = Buffer.alloc(XERIAL_HEADER_BYTES);
    XERIAL_MAGIC.copy(header);
    header.writeInt32BE(XERIAL_VERSION, 8);
    header.writeInt32BE(XERIAL_VERSION, 12);
    const parts: Buffer[] = [header];
    for (let start = 0; start < source.length; start += BLOCK_BYTES) {
      const block = compressSync(source.subarray(start, start + BLOCK_BYTES));
      const length = Buffer.alloc(4);
      length.writeInt32BE(block.length);
      parts.push(length, block);
    }
    return Buffer.concat(parts);
  },

  decompress(source, maxBytes) {
    const blocks = splitBlocks(source);
    let total = 0;
    for (const block of blocks) total += declaredBytes(block);
    if (total > maxBytes) throw tooLarge('snappy', total, maxBytes);
    const { uncompressSync } = library();
    try {
      const parts = blocks.map((block) => uncompressSync(block) as Buffer);
      const [first] = parts;
      return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts, total);
    } catch (error) {
      throw corrupt('snappy', reason(error), error);
    }
  },
};

function splitBlocks(source: Buffer): Buffer[] {
  const framed =
    source.length >= XERIAL_HEADER_BYTES &&
    source.compare(XERIAL_MAGIC, 0, XERIAL_MAGIC.length, 0, XERIAL_MAGIC.length) === 0;
  if (!framed) return [source];
  const version = source.readInt32BE(12);
  if (version !== XERIAL_VERSION) throw corrupt('snappy', `framing version ${version}, not 1`);
  const blocks: Buffer[] = [];
  let position = XERIAL_HEADER_BYTES;
  while (position < source.length) {
    const left = source.length - position - 4;
    const length = left < 0 ? -1 : source.readInt32BE(position);
    if (length < 0 || length > left) throw corrupt('snappy', 'a block reaches beyond the end');
    blocks.push(source.subarray(position + 4, position + 4 + length));
    position += 4 + length;
  }
  return blocks;
}

/** A raw block starts with its uncompressed size as a plain (not zig-zag) varint. */
function declaredBytes(block: Buffer): number {
  let size = 0;
  for (let index = 0; index < 5; index++) {
    const byte = block[index];
    if (byte === undefined) break;
    size += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return size;
  }
  throw corrupt('snappy', 'a block does not start with its size');
}
