import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';

import type * as ZstdLibrary from '@toondepauw/node-zstd';

import { corrupt, lazily, reason, tooLarge, type Codec } from './codec.js';
import { measureZstd } from './zstd-frame.js';

/** What Node's zlib has from 22.15 and 23.8 on; the types of Node 20 do not know it. */
interface NodeZstd {
  readonly zstdCompressSync?: (source: Buffer, options?: object) => Buffer;
  readonly zstdDecompressSync?: (source: Buffer, options: { maxOutputLength: number }) => Buffer;
}

/** The two ways to compress, with one face. */
interface Zstd {
  compress(source: Buffer): Buffer;
  decompress(source: Buffer, maxBytes: number): Buffer;
}

/** zstd's own default level, which Kafka's clients use too. */
const LEVEL = 3;

/**
 * Node's own zstd where the running Node has it. Else `@toondepauw/node-zstd`: the reference C
 * library behind napi-rs, synchronous, with its prebuilt binaries inside registry packages (one
 * optional dependency per platform). The better-known ones do not do here: those of MongoDB and
 * `zstd-napi` download a binary or compile when installed, the WebAssembly ones can only be
 * started asynchronously, and the pure JavaScript ones only decompress.
 */
const library = lazily('zstd', (): Zstd => {
  const { zstdCompressSync, zstdDecompressSync } = zlib as NodeZstd;
  if (zstdCompressSync !== undefined && zstdDecompressSync !== undefined) {
    return {
      compress: (source) => zstdCompressSync(source),
      decompress: (source, maxBytes) => zstdDecompressSync(source, { maxOutputLength: maxBytes }),
    };
  }
  const require = createRequire(import.meta.url);
  const { Decoder, Encoder } = require('@toondepauw/node-zstd') as typeof ZstdLibrary;
  const encoder = new Encoder(LEVEL);
  const decoder = new Decoder();
  return {
    compress: (source) => encoder.encodeSync(source),
    decompress: (source) => decoder.decodeSync(source),
  };
});

/**
 * zstd frames (RFC 8878). The frame's structure is measured beforehand, since the library has no
 * limit of its own; a frame that does not tell its size is measured to within a block of 128 KiB
 * each, so one that is made of very many nearly empty blocks may be refused although it would fit.
 */
export const zstd: Codec = {
  compress: (source) => library().compress(source),
  decompress(source, maxBytes) {
    const { atLeastBytes, atMostBytes } = measureZstd(source);
    if (atLeastBytes > maxBytes) throw tooLarge('zstd', atLeastBytes, maxBytes);
    const implementation = library();
    const slackBytes = 128 * 1024;
    if (atMostBytes > maxBytes + slackBytes) throw tooLarge('zstd', undefined, maxBytes);
    let result: Buffer;
    try {
      result = implementation.decompress(source, Math.max(maxBytes, 1));
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') {
        throw tooLarge('zstd', undefined, maxBytes);
      }
      throw corrupt('zstd', reason(error), error);
    }
    if (result.length > maxBytes) throw tooLarge('zstd', result.length, maxBytes);
    return result;
  },
};
