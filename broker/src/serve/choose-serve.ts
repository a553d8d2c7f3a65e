import type { SocketWriter } from '@millrace/native';
import type { ServeName } from '../modes.js';
import { CopyServe } from './copy.js';
import { MmapServe } from './mmap.js';
import { SendfileServe } from './sendfile.js';
import type { ServeStrategy } from './serve-strategy.js';

/**
 * The strategy of that name on the native module.
 * @param maxReadMappings segment files that `mmap` keeps mapped.
 */
export function chooseServe(name: ServeName, maxReadMappings: number): ServeStrategy<SocketWriter> {
  switch (name) {
    case 'sendfile':
      return new SendfileServe();
    case 'mmap':
      return new MmapServe(maxReadMappings);
    case 'copy':
      return new CopyServe();
  }
}
