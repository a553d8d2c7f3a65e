import type { Mapping, MappingAccess } from './mapping.js';

/**
 * `short`: the file ends within the range. `unknown`: neither cachestat(2) nor RWF_NOWAIT works on this
 * file.
 */
export type Residency = 'resident' | 'cold' | 'short' | 'unknown';

/** Bytes of a file, from `start` up to `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

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

  /**
   * Takes the clean pages that lie wholly behind `position` out of the page cache, by posix_fadvise(2) with
   * POSIX_FADV_DONTNEED. What is dirty stays, and begins to be written. Where that cannot be done
   * nothing happens.
   */
  evict(position: number): void;

  /**
   * The first range at or after `position` that may hold other bytes than zeros, by lseek(2) with
   * SEEK_DATA and SEEK_HOLE: blocks that were allocated and never written are left out, unless they
   * are in the page cache, where reading ahead and faults bring more than was asked for. Undefined
   * when there is none up to the end of the file. A filesystem that keeps no account of that gives
   * the whole rest.
   */
  nextData(position: number): ByteRange | undefined;

  /** Sets the size. Writing through a mapping to what was cut off fails with `EIO`. */
  truncate(length: number): void;

  /** fdatasync(2) on the sync pool. Never repeated by this module: a failed sync is final. */
  sync(): Promise<void>;

  /**
   * Whether reading the range would come from the page cache alone. Resident only when every page of
   * it is. cachestat(2) if the kernel allows it, and once part of the file was cold also preadv2(2) with
   * RWF_NOWAIT, a byte of each 64 KiB, for cachestat counts what is still being read ahead. Else that, a
   * byte of each page.
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
