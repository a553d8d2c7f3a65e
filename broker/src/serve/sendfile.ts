import type { SocketWriter } from '@millrace/native';
import type { FileRegion } from '../storage/file-region.js';
import { nativeFileOf } from './native-file.js';
import type { ServeStrategy } from './serve-strategy.js';

/** Page cache to socket within the kernel, by sendfile(2): what Kafka's `transferTo` comes down to. */
export class SendfileServe implements ServeStrategy<SocketWriter> {
  readonly name = 'sendfile';

  send(writer: SocketWriter, region: FileRegion, skip: number, length: number): number {
    // sendfile(2) has no flag for `more`; the pieces are large enough not to need one.
    return writer.sendFile(nativeFileOf(region), region.position + skip, length);
  }

  close(): void {
    // Nothing is kept between sends.
  }
}
