import type { ServeName } from '../modes.js';
import type { FileRegion } from '../storage/file-region.js';

/**
 * How stored bytes get onto a socket. Strategies differ in the syscalls and in nothing else: they
 * get the same pieces in the same order, and what is sent is byte for byte the same.
 *
 * @typeParam Target what is written to: the native socket writer, or Node's socket.
 */
export interface ServeStrategy<Target> {
  readonly name: ServeName;
  /**
   * Sends from `region`, from its byte `skip` on, at most `length` bytes.
   *
   * Returns how many of them are on their way; fewer than `length` when the socket takes no more for
   * now. A strategy that has to wait for the bytes returns a promise of it; the region must not be
   * released before that settles.
   *
   * @param more that other bytes follow at once, so the last segment need not leave half full.
   * @throws Error with a `code` (`EPIPE`, `ECONNRESET`, `EIO`, …) when nothing more can be sent.
   */
  send(
    target: Target,
    region: FileRegion,
    skip: number,
    length: number,
    more: boolean,
  ): number | Promise<number>;
  /** Lets go of everything that is kept between sends. */
  close(): void;
}
