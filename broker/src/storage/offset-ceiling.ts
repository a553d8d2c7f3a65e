import type { CheckpointFile } from './checkpoint.js';

/**
 * The durable promise that no offset at or beyond it was ever assigned. It is raised in blocks, ahead
 * of the log's end, so that after a power cut the log goes on beyond every offset a consumer may
 * have seen.
 */
export class OffsetCeiling {
  #ceiling: number;
  #raising = false;

  constructor(
    private readonly checkpoint: CheckpointFile,
    private readonly block: number,
    start: number,
  ) {
    this.#ceiling = start;
  }

  /** True when offsets up to `end`, exclusive, may be assigned. */
  covers(end: number): boolean {
    return end <= this.#ceiling;
  }

  /** Resolves when at least `recordCount` offsets from `nextOffset` on are reserved durably. */
  async reserve(nextOffset: number, recordCount: number, leaderEpoch: number): Promise<void> {
    const ceiling = nextOffset + Math.max(recordCount, this.block);
    await this.checkpoint.update({ ceiling, leaderEpoch });
    this.#ceiling = Math.max(this.#ceiling, ceiling);
  }

  /** Reserves the next block while half a block is left, so that no append has to wait for it. */
  reserveAhead(nextOffset: number, leaderEpoch: number, onError: (error: unknown) => void): void {
    if (this.#raising || this.#ceiling - nextOffset > this.block / 2) return;
    this.#raising = true;
    this.reserve(nextOffset, 0, leaderEpoch)
      .catch(onError)
      .finally(() => {
        this.#raising = false;
      });
  }
}
