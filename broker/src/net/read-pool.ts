import type { MemoryUser, RequestMemory } from './request-memory.js';

/** Bytes of a slab. Large, so that one read takes whatever the kernel has. */
export const SLAB_BYTES = 256 * 1024;
/** Free slabs that are kept: 16 MiB. */
const MAX_FREE_SLABS = 64;

/** Memory that requests lie in while they are served, counted against its connection. */
export class Block {
  #users = 1;

  /**
   * @param pool where it is taken from; it goes back after the last user.
   * @param countedBytes what it counts for.
   */
  constructor(
    readonly bytes: Buffer,
    private readonly pool: ReadPool,
    private readonly owner: MemoryUser,
    readonly countedBytes: number,
  ) {
    pool.memory.take(owner, countedBytes);
  }

  retain(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.pool.give(this.bytes);
    this.pool.memory.give(this.owner, this.countedBytes);
  }
}

/**
 * The memory that all connections of a listener read into. Node would allocate 64 KiB for each read:
 * at a gigabyte a second the collector has no time for anything else, and every page is a fault.
 */
export class ReadPool {
  /** Where idle connections read to, all of them: a read is over before the next one begins. */
  readonly landing = Buffer.allocUnsafeSlow(64 * 1024);
  readonly #freeSlabs: Buffer[] = [];

  /**
   * @param memory bounds what is taken.
   * @param copies where bytes that are copied out of the landing are counted.
   */
  constructor(
    readonly memory: RequestMemory,
    readonly copies: { bytesCopied: number } = { bytesCopied: 0 },
  ) {}

  takeSlab(owner: MemoryUser): Block {
    const bytes = this.#freeSlabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
    return new Block(bytes, this, owner, SLAB_BYTES);
  }

  give(bytes: Buffer): void {
    if (bytes.length !== SLAB_BYTES || this.#freeSlabs.length >= MAX_FREE_SLABS) return;
    this.#freeSlabs.push(bytes);
  }
}
