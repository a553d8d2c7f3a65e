import type { Mapping } from './mapping.js';
import type { NativeFile } from './native-file.js';

/**
 * Writes to a stream socket that Node owns, through a duplicate of its descriptor, never blocking.
 * All sends return the bytes that the socket took: fewer than asked means that it is full, and
 * `onceWritable` tells when to go on. A send that throws leaves it unknown how much was sent: the
 * connection is of no more use.
 *
 * The caller orders these sends against Node's own writes: nothing may wait in Node's stream when
 * one is made.
 */
export interface SocketWriter {
  /**
   * Sends the chunks, but their first `skip` bytes, by sendmsg(2).
   *
   * @param more - MSG_MORE: what follows at once may share a segment with the end of this
   */
  send(chunks: readonly Uint8Array[], skip: number, more: boolean): number;

  /**
   * sendfile(2) of a range.
   *
   * @throws NativeError `ENODATA` when the file ends before the range does
   */
  sendFile(file: NativeFile, position: number, length: number): number;

  /**
   * send(2) straight from the mapping. Between the end of the file and that of its last page it sends
   * zeros: look at the size first.
   *
   * @throws NativeError `EIO` when a page cannot be had: it lies beyond the end of the file, or its
   *   disk failed
   */
  sendMapped(mapping: Mapping, position: number, length: number, more: boolean): number;

  /**
   * pread(2) into a buffer, send(2) from it; what a short send left is read again by the next
   * call.
   *
   * @throws NativeError `ENODATA` when the file ends before the range does
   */
  sendCopied(file: NativeFile, position: number, length: number, more: boolean): number;

  /**
   * Calls back once, when the socket takes bytes again, is reset, or is closed in both directions.
   * Not when the peer merely ends its own sending: it may well still read. Keeps the event loop
   * alive until then.
   *
   * @throws NativeError `EALREADY` while an earlier callback is still due
   */
  onceWritable(callback: () => void): void;

  /**
   * Drops a callback that is due and closes the duplicate; Node's own descriptor stays.
   * Idempotent.
   */
  close(): void;
}
