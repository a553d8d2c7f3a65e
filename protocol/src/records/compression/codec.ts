import { ProtocolError } from '../../errors.js';

/** How the records of a batch are compressed; the codec ids on the wire are 0 to 4. */
export type CompressionName = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** What one decompressed batch may take unless the caller says otherwise: 64 MiB. */
export const DEFAULT_MAX_DECOMPRESSED_BYTES = 64 * 1024 * 1024;

/** One way to compress the records of a batch. Synchronous: batches are small. */
export interface Codec {
  compress(source: Buffer): Buffer;
  /**
   * @param maxBytes refuses what would grow beyond this, before growing it where the format tells.
   * @throws ProtocolError MESSAGE_TOO_LARGE beyond `maxBytes`, CORRUPT_MESSAGE for bytes that are
   *   not of the format, UNSUPPORTED_COMPRESSION_TYPE where the library cannot be loaded. The
   *   caller adds which batch it was.
   */
  decompress(source: Buffer, maxBytes: number): Buffer;
}

/** The refusal of bytes that would grow too much. `bytes` undefined: it is not known how much. */
export function tooLarge(
  codec: string,
  bytes: number | undefined,
  maxBytes: number,
): ProtocolError {
  const size = bytes === undefined ? 'more than that' : `${bytes} bytes`;
  return new ProtocolError(
    'MESSAGE_TOO_LARGE',
    `its ${codec} data expands to ${size}, beyond the limit of ${maxBytes} bytes ` +
      '(maxDecompressedBytes): raise the limit, or produce smaller batches',
  );
}

/** The refusal of bytes that are not what the codec's format asks for. */
export function corrupt(codec: string, what: string, cause?: unknown): ProtocolError {
  const options = cause === undefined ? undefined : { cause };
  return new ProtocolError('CORRUPT_MESSAGE', `its ${codec} data is damaged: ${what}`, options);
}

/** The first line of whatever a library threw. */
export function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
}

/**
 * Runs a loader at its first use and keeps the result: most processes never need most codecs, and
 * a broker needs none.
 *
 * @throws ProtocolError UNSUPPORTED_COMPRESSION_TYPE when the library cannot be loaded here.
 */
export function lazily<Library>(codec: string, load: () => Library): () => Library {
  let library: Library | undefined;
  return () => {
    if (library !== undefined) return library;
    try {
      return (library = load());
    } catch (cause) {
      throw new ProtocolError(
        'UNSUPPORTED_COMPRESSION_TYPE',
        `${codec} is not available here, its library does not load (${reason(cause)}): ` +
          'install the optional dependencies for this platform, or use another compression',
        { cause },
      );
    }
  };
}
