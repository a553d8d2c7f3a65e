/**
 * What is counted apart. `sendmsg` sends buffers of the broker, `send` file regions from memory;
 * `pwritev` is also for single buffers, `residency` is every probe.
 */
export type SyscallKind =
  | 'pwritev'
  | 'pread'
  | 'sendfile'
  | 'send'
  | 'sendmsg'
  | 'fallocate'
  | 'ftruncate'
  | 'mmap'
  | 'munmap'
  | 'msync'
  | 'fdatasync'
  | 'fsync'
  | 'madvise'
  | 'residency';

export interface SyscallCount {
  /** System calls made, failed ones and repeated ones included. */
  readonly calls: number;
  /**
   * Bytes moved, or covered where nothing moves (msync, madvise, …); 0 for fdatasync, fsync and
   * ftruncate.
   */
  readonly bytes: number;
}

/** Sums since the module was loaded in this thread; each worker thread counts for itself. */
export interface NativeCounters extends Readonly<Record<SyscallKind, SyscallCount>> {
  /** Bytes that this module copied in user space: memcpy into mappings, nothing else. */
  readonly copiedBytes: number;
  /** Times that a socket took less than it was offered, EAGAIN included. */
  readonly wouldBlock: number;
  /** System calls that failed for good (not EAGAIN, not EINTR). */
  readonly failures: number;
}
