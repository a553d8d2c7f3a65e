/** Bytes of a slab. Large, so that one read takes whatever the kernel has. */
export const SLAB_BYTES = 256 * 1024;
/** Free slabs that are kept: 16 MiB. */
const MAX_FREE_SLABS = 64;

/** Memory that requests lie in while they are served; it goes back to its pool after the last. */
export class Slab {
  readonly bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #users = 0;

  constructor(private readonly pool: ReadPool) {}

  retain(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.pool.give(this);
  }
}

/**
 * The memory that all connections of a listener read into. Node would allocate 64 KiB for each read:
 * at a gigabyte a second the collector has no time for anything else, and every page is a fault.
 */
export class ReadPool {
  /** Where idle connections read to, all of them: a read is over before the next one begins. */
  readonly landing = Buffer.allocUnsafeSlow(64 * 1024);
  readonly #free: Slab[] = [];

  take(): Slab {
    const slab = this.#free.pop() ?? new Slab(this);
    slab.retain();
    return slab;
  }

  give(slab: Slab): void {
    if (this.#free.length < MAX_FREE_SLABS) this.#free.push(slab);
  }
}
