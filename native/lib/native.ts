import type { NativeCounters } from './native-counters.js';
import type { NativeFile } from './native-file.js';
import type { SocketWriter } from './socket-writer.js';

/**
 * `create` fails with `EEXIST` when there is such a file, and makes it with mode 0644 less the
 * umask.
 */
export type OpenFlags = 'read' | 'readwrite' | 'create';

/** What the filesystem of a directory can do. */
export interface DirectoryProbe {
  readonly fallocate: boolean;
  /** Shared, writable mappings whose bytes read(2) sees. */
  readonly mmap: boolean;
  readonly sendfile: boolean;
  /** How `residency` finds out: cachestat(2), preadv2(2) with RWF_NOWAIT, or not at all. */
  readonly residency: 'cachestat' | 'nowait' | 'none';
  /** What failed and how, for a person; empty when all works. */
  readonly detail: string;
}

/**
 * The native module, one per thread that loads it. Nothing of it may be handed to another thread.
 *
 * Asynchronous calls run on threads of its own, apart from libuv's: 16 that sync, one that
 * pre-faults, two that warm. Each of these pools lets 65,536 jobs wait; one more throws a
 * `NativeError` with code `EAGAIN`. An unfinished job keeps the event loop alive. When a worker
 * thread is terminated, waiting jobs are dropped, those that run are waited for, and their
 * promises stay pending.
 */
export interface Native {
  /**
   * Opens a file (O_CLOEXEC). Throws a `NativeError`: `ENOENT`, `EEXIST`, `EACCES`, `EMFILE`, …
   */
  openFile(path: string, flags: OpenFlags): NativeFile;

  /**
   * Duplicates the descriptor of a connected stream socket; Node keeps owning the original.
   *
   * @throws NativeError `ENOTSOCK`, `EBADF`, `EMFILE`; `EPROTOTYPE` when it is not a stream socket
   */
  socketWriter(fd: number): SocketWriter;

  /**
   * fsync(2) of a directory on the sync pool, so that files made, renamed or removed in it stay
   * so.
   */
  syncDirectory(path: string): Promise<void>;

  /**
   * Tries things on a scratch file, which is gone afterwards. Blocks; for the start.
   *
   * @throws NativeError when no file of 64 KiB can be made there: `EACCES`, `EROFS`, `ENOSPC`, …
   */
  probeDirectory(path: string): DirectoryProbe;

  /**
   * CRC-32C (Castagnoli; RFC 3720 appendix B.4) of the bytes, continuing `crc`; 0 starts one. Three stretches side by
   * side by the processor's own instruction. Absent where it has none, or is not an x86-64.
   *
   * @returns the sum, unsigned
   */
  readonly crc32c?: (bytes: Uint8Array, crc: number) => number;

  counters(): NativeCounters;

  /** Most bytes that one system call of a region send moves, whichever the strategy. */
  readonly sendChunkBytes: number;
}
