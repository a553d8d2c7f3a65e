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
  /** What was asked for ahead of the need was refused, and nothing was granted since. */
  #refused = false;
  /** Some filesystems do not count links. */
  readonly #countsLinks: boolean;

  constructor(
    private readonly file: StorageFile,
    private readonly capacityBytes: number,
    private readonly stepMaxBytes: number,
    private readonly onGrowth?: GrowthListener,
  ) {
    this.#allocatedTo = file.size();
    this.#countsLinks = file.links() > 0;
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

  /**
   * Makes room up to `end` for what may come, as far as the capacity and a step go. A full disk is not met
   * before an append meets it, and is not asked again until then.
   */
  reach(end: number): void {
    const wanted = Math.min(end, this.capacityBytes, this.#allocatedTo + this.stepMaxBytes);
    if (this.#refused || wanted <= this.#allocatedTo) return;
    try {
      this.#growTo(wanted);
    } catch {
      this.#refused = true;
    }
  }

  /** Takes everything behind `end` away again. */
  cutTo(end: number): void {
    // Before: a call that fails may have cut the file all the same, and what is there is allocated twice without harm.
    this.#allocatedTo = Math.min(this.#allocatedTo, end);
    this.file.truncate(end);
  }

  /**
   * What was written to a file that somebody else cut or removed is lost, though every call succeeded.
   * @param dataEnd where the data ends.
   * @throws Error with code `EIO`.
   */
  checkIntact(dataEnd: number): void {
    const size = this.file.size();
    // Node has no fallocate(2): its files are as long as their data.
    const reach = this.file.native === undefined ? dataEnd : Math.max(dataEnd, this.#allocatedTo);
    if (size < reach) throw damaged(this.file, `cut to ${size} bytes, below ${reach}`);
    if (this.#countsLinks && this.file.links() === 0)
      throw damaged(this.file, 'removed or replaced');
  }

  #growTo(end: number): void {
    this.file.allocate(this.#allocatedTo, end - this.#allocatedTo);
    this.onGrowth?.(end - this.#allocatedTo);
    this.#allocatedTo = end;
    this.#refused = false;
  }
}

function damaged({ path }: StorageFile, how: string): Error {
  const message = `EIO: ${path} was ${how}, by somebody else, while the broker appended to it`;
  return Object.assign(new Error(message), { code: 'EIO', syscall: 'fstat', path });
}
