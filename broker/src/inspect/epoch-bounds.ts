import type { LeaderEpoch } from '../storage/epoch-history.js';

/** Which leader epochs a batch may bear, by its offset. */
export class EpochBounds {
  readonly #epochs: readonly LeaderEpoch[];

  /** @param latestEpoch what the checkpoint says; an epoch has its entry once something is appended in it. */
  constructor(
    epochs: readonly LeaderEpoch[],
    private readonly latestEpoch: number,
  ) {
    this.#epochs = epochs;
  }

  /** What is wrong with `epoch` on a batch at `offset`. */
  problem(offset: number, epoch: number): string | undefined {
    const next = this.#epochs.findIndex(({ startOffset }) => startOffset > offset);
    const begun = next < 0 ? this.#epochs.at(-1) : this.#epochs[next - 1];
    const following = this.#epochs[next];
    const min = begun?.epoch ?? 0;
    const max = following === undefined ? Math.max(min, this.latestEpoch) : following.epoch - 1;
    if (epoch >= min && epoch <= max) return undefined;
    const known = min === max ? String(min) : `${min} to ${max}`;
    return `leader epoch ${epoch} at offset ${offset}, where it is ${known}`;
  }

  /** True when nothing was ever stored from `from` up to `startOffset`, where a segment begins. */
  explainsGap(from: number, startOffset: number): boolean {
    return this.#epochs.some(
      (epoch) => epoch.startOffset === startOffset && epoch.previousEndOffset <= from,
    );
  }
}
