import { createRequire } from 'node:module';

import type * as Lz4Library from 'lz4-napi';

import { corrupt, lazily, reason, tooLarge, type Codec } from './codec.js';

const library = lazily(
  'lz4',
  () => createRequire(import.meta.url)('lz4-napi') as typeof Lz4Library,
);

const MAGIC = 0x184d2204;
/** Frame descriptor bits (LZ4 frame format description 1.6): version 01, then what is present. */
const VERSION_MASK = 0xc0;
const VERSION = 0x40;
const BLOCK_CHECKSUM = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const DICTIONARY = 0x01;
/** Set in a block's size when the block is stored as it is. */
const STORED = 0x8000_0000;

/**
 * The LZ4 *frame* format, which Kafka prescribes for magic 2, as one frame. The library neither
 * writes the content size nor limits what it expands to, so the frame is measured beforehand.
 */
export const lz4: Codec = {
  compress: (source) => library().compressFrameSync(source),
  decompress(source, maxBytes) {
    const size = measure(source, maxBytes);
    if (size > maxBytes) throw tooLarge('lz4', size, maxBytes);
    const { decompressFrameSync } = library();
    try {
      return decompressFrameSync(source);
    } catch (error) {
      throw corrupt('lz4', reason(error), error);
    }
  },
};

/**
 * What the frame expands to, without expanding it: exact where it matters, which is beyond
 * `maxBytes`, and otherwise possibly only that it is at most this. A content size in the
 * frame header is not trusted: the blocks decide.
 */
function measure(source: Buffer, maxBytes: number): number {
  if (source.length < 7 || source.readUInt32LE(0) !== MAGIC) {
    throw corrupt('lz4', 'it does not start with a frame header');
  }
  const flags = source.readUInt8(4);
  if ((flags & VERSION_MASK) !== VERSION) throw corrupt('lz4', 'its frame version is unknown');
  if ((flags & DICTIONARY) !== 0) throw corrupt('lz4', 'it asks for a dictionary');
  // Codes 4 to 7 stand for 64 KiB, 256 KiB, 1 MiB and 4 MiB.
  const blockMaxBytes = 2 ** (8 + 2 * ((source.readUInt8(5) >> 4) & 0x07));
  const blockTrailer = (flags & BLOCK_CHECKSUM) === 0 ? 0 : 4;
  let position = 7 + ((flags & CONTENT_SIZE) === 0 ? 0 : 8);
  let total = 0;
  for (;;) {
    if (position + 4 > source.length) throw corrupt('lz4', 'it ends before its end mark');
    const field = source.readUInt32LE(position);
    position += 4;
    if (field === 0) break;
    const length = field % STORED;
    const end = position + length;
    if (end + blockTrailer > source.length) throw corrupt('lz4', 'a block is cut off');
    if (field >= STORED) total += length;
    else if (total + blockMaxBytes <= maxBytes) total += blockMaxBytes;
    else total += Math.min(expandedBytes(source, position, end), blockMaxBytes);
    position = end + blockTrailer;
  }
  position += (flags & CONTENT_CHECKSUM) === 0 ? 0 : 4;
  if (position !== source.length) throw corrupt('lz4', 'other bytes follow its frame');
  return total;
}

/**
 * The size of one block, from the lengths in its sequences: a token (literals in the high four
 * bits, match length - 4 in the low ones; 15 means that more length bytes follow, up to one that
 * is not 255), the literals, and a two-byte match offset. The last sequence has literals only.
 */
function expandedBytes(source: Buffer, start: number, end: number): number {
  let position = start;
  let total = 0;
  const longLength = (): number => {
    let sum = 0;
    for (let byte = 255; byte === 255 && position < end; sum += byte) {
      byte = source.readUInt8(position++);
    }
    return sum;
  };
  while (position < end) {
    const token = source.readUInt8(position++);
    const literals = (token >> 4) + (token >> 4 === 15 ? longLength() : 0);
    total += literals;
    position += literals;
    if (position >= end) break;
    position += 2;
    total += 4 + (token & 0x0f) + ((token & 0x0f) === 15 ? longLength() : 0);
  }
  return total;
}
