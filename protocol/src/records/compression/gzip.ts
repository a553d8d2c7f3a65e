import { gunzipSync, gzipSync } from 'node:zlib';

import { corrupt, reason, tooLarge, type Codec } from './codec.js';

/** RFC 1952, by Node's own zlib. Its growth is stopped at the limit: the format tells no size. */
export const gzip: Codec = {
  compress: (source) => gzipSync(source),
  decompress(source, maxBytes) {
    try {
      return gunzipSync(source, { maxOutputLength: Math.max(maxBytes, 1) });
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') {
        throw tooLarge('gzip', undefined, maxBytes);
      }
      throw corrupt('gzip', reason(error), error);
    }
  },
};
