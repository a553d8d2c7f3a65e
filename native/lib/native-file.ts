import type { Mapping, MappingAccess } from './mapping.js';

/**
 * `short`: the file ends within the range. `unknown`: neither cachestat(2) nor RWF_NOWAIT works on this
 * file.
 */
export type Residency = 'resident' | 'cold' | 'short' | 'unknown';

/**
 * One open file. Positions and lengths are bytes, safe integers. Every method but `close` throws a
 * `NativeError` with code `EBADF` once the file is closed; asynchronous ones throw it at once and
 * reject with what the pool meets.
 */
export interface NativeFile {
  /** As it was given to `openFile`; still there when closed. */
  readonly path: string;
  /** The descriptor, for Node's own `fs`; -1 once closed. Never close it by other means. */
  readonly fd: number;
  readonly closed: boolean;

  /** Size in bytes, by fstat(2). */
  size(): number;

  /**
   * Idempotent. The descriptor goes when the last job that uses it has ended. Mappings live on.
   */
  close(): void;

  /**
   * Reserves blocks by fallocate(2), mode 0, and extends the file to `position + length` if that
   * is beyond its end. A failed call leaves the size as it was.
   *
   * @param length - 1 or more
   * @throws NativeError `ENOSPC`, `EFBIG`, `EOPNOTSUPP` (this filesystem cannot), …
   */
  allocate(position: number, length: number): void;

  /**
   * Writes all of the chunks by pwritev(2), short writes continued.
   * After an error part of them may be in the file.
   */
  write(chunks: readonly Uint8Array[], position: number): void;

  /** Reads by pread(2) until the target is full or the file ends. Returns the bytes read. */
  read(target: Uint8Array, position: number): number;

  /** Sets the size. Writing through a mapping to what was cut off fails with `EIO`. */
  truncate(length: number): void;

  /** fdatasync(2) on the sync pool. Never repeated by this module: a failed sync is final. */
  sync(): Promise<void>;

  /**
   * Whether reading the range would come from the page cache alone. Resident only when every page of
   * it is. cachestat(2) if the kernel allows it, else preadv2(2)
   * with RWF_NOWAIT, a byte of each page.
   */
  residency(position: number, length: number): Residency;

  /** Brings the range (cut to the size of the file) into the page cache, on the warm pool. */
  warm(position: number, length: number): Promise<void>;

  /**
   * Takes flock(2) LOCK_EX without waiting. False when another open file description holds it;
   * gone on `close`.
   */
  lock(): boolean;

  /**
   * Whether anybody else, in whichever process, has the file open or mapped: nobody has whom a
   * write lease is given (fcntl(2), F_SETLEASE). For a file opened `readwrite` whose name is gone,
   * so that nobody comes anew.
   *
   * @throws NativeError `EINVAL` where the filesystem knows no leases, `EACCES` when the file is
   *   another user's
   */
  hasOtherUsers(): boolean;

  /**
   * Maps `length` bytes from the start, MAP_SHARED. They may reach beyond the end of the file,
   * which may grow under the mapping.
   *
   * @param length - 1 or more
   * @throws NativeError `EACCES` when `access` is more than the file was opened for, `ENOMEM`, …
   */
  map(length: number, access: MappingAccess): Mapping;
}
