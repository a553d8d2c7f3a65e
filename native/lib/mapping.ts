/** What one entry of the middle level of the page table maps, on x86-64 and, with pages of 4 KiB, on arm64. */
export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;

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
   * @returns the CPU time that it took, in microseconds; NaN where the kernel lacks it
   * @throws NativeError `EACCES` when mapped for reading
   */
  populate(position: number, length: number): Promise<number>;

  /**
   * Says whether pages from `position` on, which must be a multiple of {@link HUGE_PAGE_BYTES}, are to be
   * huge ones where they are faulted in from now on (MADV_HUGEPAGE or MADV_NOHUGEPAGE). Where the kernel or the
   * filesystem has none for files (ext4 before Linux 6.16) they stay small.
   *
   * @throws RangeError beyond `length`, or for another position
   */
  useHugePages(position: number, wanted: boolean): void;

  /**
   * msync(2) with MS_SYNC over the pages that hold the range, on the sync pool. Never repeated: a
   * failure is final.
   */
  sync(position: number, length: number): Promise<void>;

  /** Idempotent. The memory goes when the last job that uses it has ended. */
  unmap(): void;
}
