import { ProtocolError } from '../../errors.js';
import type { Codec, CompressionName } from './codec.js';
import { gzip } from './gzip.js';
import { lz4 } from './lz4.js';
import { snappy } from './snappy.js';
import { zstd } from './zstd.js';

const compressionNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

const none: Codec = { compress: (source) => source, decompress: (source) => source };
const codecs: Readonly<Record<CompressionName, Codec>> = { none, gzip, snappy, lz4, zstd };

/** The id that the attributes of a batch carry. */
export function codecId(name: CompressionName): number {
  return compressionNames.indexOf(name);
}

/** The compression that a codec id stands for, or undefined for one that nobody has defined. */
export function compressionName(id: number): CompressionName | undefined {
  return compressionNames[id];
}

/** @throws ProtocolError UNSUPPORTED_COMPRESSION_TYPE for a name that is none of the five. */
export function codecFor(name: CompressionName): Codec {
  if (Object.hasOwn(codecs, name)) return codecs[name];
  throw new ProtocolError(
    'UNSUPPORTED_COMPRESSION_TYPE',
    `There is no compression '${name as string}': use one of ${compressionNames.join(', ')}`,
  );
}
