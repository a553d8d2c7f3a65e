import { createRequire } from 'node:module';
import type * as Crc32Library from '@node-rs/crc32';
import { crc32c, useCrc32c } from '@millrace/protocol';
import { expect, test } from '@jest/globals';
import { startBroker } from '../../broker/src/broker.js';
import { nativeOrThrow } from '../support/storage.js';
import { makeTempDir } from '../support/temp-dir.js';

const library = createRequire(import.meta.url)('@node-rs/crc32') as typeof Crc32Library;

test('a broker has its sums computed by the native module, where that can', async () => {
  let byLibrary = 0;
  useCrc32c((bytes, crc) => {
    byLibrary += 1;
    return library.crc32c(bytes, crc);
  });
  const dir = await makeTempDir();
  const broker = await startBroker({ listen: '127.0.0.1:0', dataDir: dir.path });
  try {
    byLibrary = 0;
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(byLibrary).toBe(nativeOrThrow().crc32c === undefined ? 1 : 0);
  } finally {
    await broker.close();
    await dir.remove();
  }
});
