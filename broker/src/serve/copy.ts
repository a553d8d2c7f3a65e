import type { SocketWriter } from '@millrace/native';
import type { FileRegion } from '../storage/file-region.js';
import { nativeFileOf } from './native-file.js';
import type { ServeStrategy } from './serve-strategy.js';

/** Read into a user buffer, send from it: traditional I/O, with a copy in each direction. */
export class CopyServe implements ServeStrategy<SocketWriter> {
  readonly name = 'copy';

  send(
    writer: SocketWriter,
    region: FileRegion,
    skip: number,
    length: number,
    more: boolean,
  ): number {
    return writer.sendCopied(nativeFileOf(region), region.position + skip, length, more);
  }

  close(): void {
    // The scratch buffer belongs to the native module.
  }
}
