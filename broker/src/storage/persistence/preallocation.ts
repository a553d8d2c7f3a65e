import type { StorageFile } from './file.js';

/** The first step of a segment's growth: small, so that an idle partition costs next to nothing. */
const GROW_STEP_MIN_BYTES = 64 * 1024;

/** Is told that a file takes so many bytes more of the disk. */
export type GrowthListener = (bytes: number) => void;

/**
 * Grows a segment's file ahead of the write position by `fallocate`: never a sparse `ftruncate`, which
 * would turn a full disk into a SIGBUS. Steps double with the segment, up to `stepMaxBytes`.
 */
export class Preallocation {
  #allocatedTo: number;

  constructor(
    private readonly file: StorageFile,
    private readonly capacityBytes: number,
    private readonly stepMaxBytes: number,
    private readonly onGrowth?: GrowthListener,
  ) {
    this.#allocatedTo = file.size();
  }

  /** Where allocated space ends. */
  get allocatedTo(): number {
    return this.#allocatedTo;
  }

  /**
   * Makes sure that the file reaches to `end`.
   * @throws Error with code `ENOSPC`; tries the bare need before it gives up.
   */
  ensure(end: number): void {
    if (end <= this.#allocatedTo) return;
    const step = Math.min(Math.max(this.#allocatedTo, GROW_STEP_MIN_BYTES), this.stepMaxBytes);
    const wanted = Math.min(
      Math.max(end, this.#allocatedTo + step),
      Math.max(end, this.capacityBytes),
    );
    try {
      this.#growTo(wanted);
    } catch (error) {
      if (wanted === end) throw error;
      this.#growTo(end);
    }
  }

  #growTo(end: number): void {
    this.file.allocate(this.#allocatedTo, end - this.#allocatedTo);
    this.onGrowth?.(end - this.#allocatedTo);
    this.#allocatedTo = end;
  }
}
