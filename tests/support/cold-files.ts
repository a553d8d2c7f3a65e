import { FileCache } from '../../broker/src/storage/file-cache.js';
import { openStorageFile } from '../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../broker/src/storage/persistence/file.js';
import { SharedFile } from '../../broker/src/storage/shared-file.js';
import { nativeOrThrow } from './storage.js';
import { withMethods } from './with-methods.js';

/** Real files, of which nothing is in the page cache until it was warmed; reads of the rest are noted. */
export class ColdFiles extends FileCache {
  /** Bytes that were read without having been warmed. */
  coldBytes = 0;
  warmUps = 0;

  constructor() {
    super(nativeOrThrow(), 1);
  }

  override acquire(path: string): SharedFile {
    const real = openStorageFile(nativeOrThrow(), path, 'read');
    const warmed: (readonly [from: number, to: number])[] = [];
    const isWarm = (from: number, to: number): boolean =>
      warmed.some(([start, end]) => start <= from && to <= end);
    const isCold = (position: number, length: number): 'cold' | 'resident' =>
      isWarm(position, Math.min(position + length, real.size())) ? 'resident' : 'cold';
    const warm = (position: number, length: number): Promise<void> => {
      this.warmUps += 1;
      warmed.push([position, position + length]);
      return Promise.resolve();
    };
    const read = (target: Uint8Array, position: number): number => {
      if (!isWarm(position, position + target.length)) this.coldBytes += target.length;
      return real.read(target, position);
    };
    const native = withMethods(real.native, { residency: isCold, warm });
    return new SharedFile(withMethods<StorageFile>(real, { native, read }));
  }
}
