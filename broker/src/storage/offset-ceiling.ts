import type { CheckpointFile } from './checkpoint.js';

/**
 * The durable promise that no offset at or beyond it was ever assigned. It is raised in blocks, ahead
 * of the log's end, so that after a power cut the log goes on beyond every offset a consumer may
 * have seen.
 */
export class OffsetCeiling {
  #ceiling: number;
  #raising = false;
  /** The `reservationStep` that the file is known to hold. */
  #step: number;

  constructor(
    private readonly checkpoint: CheckpointFile,
    private readonly block: number,
    start: number,
  ) {
    this.#ceiling = start;
    // A new file has one slot, and without that nothing is believed: it needs no allowance.
    this.#step = checkpoint.current?.reservationStep ?? Infinity;
  }

  /** True when offsets up to `end`, exclusive, may be assigned. */
  covers(end: number): boolean {
    return end <= this.#ceiling;
  }

  /** Resolves when at least `recordCount` offsets from `nextOffset` on are reserved durably. */
  async reserve(nextOffset: number, recordCount: number, leaderEpoch: number): Promise<void> {
    const step = Math.max(recordCount, this.block);
    const reservationStep = Math.max(step, this.checkpoint.current?.reservationStep ?? 0);
    // Where the slot with the new ceiling is lost, the one before has to tell how far it went.
    if (this.#step < step) await this.checkpoint.update({ reservationStep });
    const ceiling = nextOffset + step;
    await this.checkpoint.update({ ceiling, leaderEpoch, reservationStep });
    this.#step = reservationStep;
    this.#ceiling = Math.max(this.#ceiling, ceiling);
  }

  /**
   * Reserves the next block while half a block is left, so that no append has to wait for it.
   * @param onEnd is told how that went; not called when there was nothing to do.
   */
  reserveAhead(nextOffset: number, leaderEpoch: number, onEnd: (error?: unknown) => void): void {
    if (this.#raising || this.#ceiling - nextOffset > this.block / 2) return;
    this.#raising = true;
    this.reserve(nextOffset, 0, leaderEpoch)
      .finally(() => {
        this.#raising = false;
      })
      .then(() => onEnd(), onEnd);
  }
}
