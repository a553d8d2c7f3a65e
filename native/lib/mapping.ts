export type MappingAccess = 'read' | 'write';

/**
 * A shared mapping of a file's first `length` bytes. JavaScript never sees the memory itself.
 * Every method but `unmap` throws a `NativeError` with code `EBADF` once it is unmapped; ranges
 * beyond `length` are a `RangeError`.
 */
export interface Mapping {
  /** Bytes mapped, as asked for; 0 once unmapped. */
  readonly length: number;

  /**
   * Copies the chunks to `position`. The file must already be allocated there: that is the caller's
   * duty.
   *
   * @throws NativeError `EACCES` when mapped for reading, `EIO` when a page could not be had (the
   *   file was cut meanwhile, its disk failed or is full); part of the bytes may be there then
   */
  write(chunks: readonly Uint8Array[], position: number): void;

  /**
   * Pre-faults the range for writing (MADV_POPULATE_WRITE) on the prefault pool, as far as the
   * file reaches; populated pages are dirty. Resolves without doing anything where the kernel
   * lacks it (before Linux 5.14).
   *
   * @throws NativeError `EACCES` when mapped for reading
   */
  populate(position: number, length: number): Promise<void>;

  /**
   * msync(2) with MS_SYNC over the pages that hold the range, on the sync pool. Never repeated: a
   * failure is final.
   */
  sync(position: number, length: number): Promise<void>;

  /** Idempotent. The memory goes when the last job that uses it has ended. */
  unmap(): void;
}
