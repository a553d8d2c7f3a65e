import type { ByteChunks } from '@millrace/protocol';
import type { StorageFile } from './file.js';

export type PersistName = 'adaptive' | 'mmap' | 'write';

/** How bytes get into an active segment. Strategies differ in the syscalls and in nothing else. */
export interface Persistence {
  readonly name: PersistName;
  /**
   * Takes over appending to `file`, whose data ends at `endPosition`.
   * @param capacityBytes the most the segment will ever hold.
   */
  openSegment(file: StorageFile, capacityBytes: number, endPosition: number): SegmentWriter;
}

/** Appends to one active segment. Positions are bytes from the start of the file. */
export interface SegmentWriter {
  /**
   * Puts the bytes at `position`, which is always the current end; readers of the file see them when
   * this returns, and they survive the process.
   * @throws Error with code `ENOSPC` with nothing visible beyond `position`, or another errno.
   */
  append(bytes: ByteChunks, position: number): void;
  /**
   * Resolves when `[from, to)` is on the device, and in the file that a restart will find. Must not
   * resolve before.
   * @throws Error with code `EIO` when the file was cut or removed meanwhile, or another errno.
   */
  sync(from: number, to: number): Promise<void>;
  /**
   * Ends appending: drops mappings, gives back space allocated beyond `endPosition`. Idempotent; one
   * that failed may be called again.
   * @throws Error with code `EIO` when the file was cut or removed meanwhile.
   */
  finish(endPosition: number): void;
  /** Ends appending and leaves the file as it is. Idempotent, also after `finish`. */
  release(): void;
}
