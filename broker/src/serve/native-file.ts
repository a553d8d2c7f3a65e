import type { NativeFile } from '@millrace/native';
import type { FileRegion } from '../storage/file-region.js';

/**
 * The native file under a region.
 *
 * @throws Error when the storage layer runs on Node's own API: the composition root pairs it with
 *   `node-copy` then, so this is a defect of the broker.
 */
export function nativeFileOf(region: FileRegion): NativeFile {
  const { native } = region.file;
  if (native === undefined) {
    throw new Error(`${region.file.path}: opened without the native module, cannot be sent by it`);
  }
  return native;
}
