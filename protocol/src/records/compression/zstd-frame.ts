import { corrupt } from './codec.js';

const MAGIC = 0xfd2f_b528;
/** Skippable frames carry user data: sixteen magics that differ in their last four bits. */
const SKIPPABLE_MAGIC = 0x184d_2a50;
const SINGLE_SEGMENT = 0x20;
const CHECKSUM = 0x04;
/** What one block expands to at most (RFC 8878, 3.1.1.2.4), however large the window. */
const MAX_BLOCK_BYTES = 128 * 1024;
const blockType = { raw: 0, runLength: 1, compressed: 2 } as const;

/** How much zstd data expands to. */
export interface ZstdMeasure {
  /** What it says, or what its raw and run-length blocks amount to. */
  readonly atLeastBytes: number;
  /** What its blocks can amount to. */
  readonly atMostBytes: number;
}

/**
 * Measures zstd frames by their headers and block headers, without decompressing (RFC 8878, 3.1).
 *
 * @throws ProtocolError CORRUPT_MESSAGE when it is no sequence of whole frames.
 */
export function measureZstd(source: Buffer): ZstdMeasure {
  if (source.length === 0) throw corrupt('zstd', 'it is empty');
  let position = 0;
  let atLeastBytes = 0;
  let atMostBytes = 0;
  while (position < source.length) {
    if (position + 8 > source.length) throw corrupt('zstd', 'a frame header is cut off');
    const magic = source.readUInt32LE(position);
    if ((magic & 0xffff_fff0) >>> 0 === SKIPPABLE_MAGIC) {
      position += 8 + source.readUInt32LE(position + 4);
      if (position > source.length) throw corrupt('zstd', 'a skippable frame is cut off');
      continue;
    }
    if (magic !== MAGIC) throw corrupt('zstd', 'it does not start with a frame header');
    const header = readHeader(source, position + 4);
    const blocks = walkBlocks(source, header.end);
    position = blocks.end + (header.hasChecksum ? 4 : 0);
    if (position > source.length) throw corrupt('zstd', 'its checksum is cut off');
    atLeastBytes += Math.max(blocks.atLeastBytes, header.contentBytes ?? 0);
    atMostBytes += blocks.atMostBytes;
  }
  return { atLeastBytes, atMostBytes };
}

interface FrameHeader {
  /** Position after the header. */
  readonly end: number;
  readonly contentBytes: number | undefined;
  readonly hasChecksum: boolean;
}

function readHeader(source: Buffer, start: number): FrameHeader {
  const descriptor = source.readUInt8(start);
  const singleSegment = (descriptor & SINGLE_SEGMENT) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 0x03] ?? 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 2 ** sizeFlag;
  const sizeAt = start + 1 + (singleSegment ? 0 : 1) + dictionaryIdBytes;
  const end = sizeAt + sizeBytes;
  if (end > source.length) throw corrupt('zstd', 'a frame header is cut off');
  const hasChecksum = (descriptor & CHECKSUM) !== 0;
  if (sizeBytes === 0) return { end, contentBytes: undefined, hasChecksum };
  if (sizeBytes === 8) {
    const high = source.readUInt32LE(sizeAt + 4);
    const contentBytes = high * 2 ** 32 + source.readUInt32LE(sizeAt);
    return { end, contentBytes, hasChecksum };
  }
  // Two-byte sizes start at 256, since smaller ones fit in one byte.
  const offset = sizeBytes === 2 ? 256 : 0;
  return { end, contentBytes: source.readUIntLE(sizeAt, sizeBytes) + offset, hasChecksum };
}

function walkBlocks(source: Buffer, start: number): ZstdMeasure & { readonly end: number } {
  let position = start;
  let atLeastBytes = 0;
  let atMostBytes = 0;
  for (let last = false; !last;) {
    if (position + 3 > source.length) throw corrupt('zstd', 'a block header is cut off');
    const field = source.readUIntLE(position, 3);
    last = (field & 1) === 1;
    const type = (field >> 1) & 0x03;
    const size = field >> 3;
    position += 3 + (type === blockType.runLength ? 1 : size);
    if (type > blockType.compressed) throw corrupt('zstd', 'a block has a reserved type');
    if (position > source.length) throw corrupt('zstd', 'a block is cut off');
    if (type !== blockType.compressed) atLeastBytes += size;
    atMostBytes += type === blockType.compressed ? MAX_BLOCK_BYTES : size;
  }
  return { end: position, atLeastBytes, atMostBytes };
}
