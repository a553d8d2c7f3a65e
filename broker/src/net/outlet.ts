import type { FileRegion } from '../storage/file-region.js';

/** The writing end of one connection. It takes bytes in order and never blocks. */
export interface Outlet {
  /** Bytes that it took and the kernel did not yet. */
  readonly pendingBytes: number;
  /** Changes whenever the kernel takes some of {@link pendingBytes}. */
  readonly pendingMark: number;
  /**
   * Sends from `chunks`, from byte `skip` of them all on. Returns how many bytes it took; fewer than
   * there are when no more fit for now.
   *
   * @param more that other bytes follow at once, so the last segment need not leave half full.
   * @throws Error with a `code` when the connection is gone.
   */
  sendBuffers(chunks: readonly Buffer[], skip: number, more: boolean): number;
  /**
   * Sends from a file region, from its byte `skip` on, at most `length` bytes; as
   * {@link Outlet.sendBuffers} otherwise. The region must not be released before a promise settles.
   */
  sendRegion(
    region: FileRegion,
    skip: number,
    length: number,
    more: boolean,
  ): number | Promise<number>;
  /** A promise when this piece must come from the disk first, undefined when it can be sent. */
  prepareRegion(region: FileRegion, skip: number, length: number): Promise<void> | undefined;
  /** Calls back once when more fits, or the connection failed: then the next send throws. */
  onceWritable(callback: () => void): void;
  /** Gives up the writing end. Idempotent; no callback comes afterwards. */
  close(): void;
}
