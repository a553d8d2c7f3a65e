import { setImmediate, setTimeout } from 'node:timers/promises';

/** The longest nap: who is to stop notices it that soon. */
const MAX_NAP_MS = 50;
/** A nap shorter than this is not worth a timer; what it would make up for is carried on. */
const MIN_NAP_MS = 2;
/** Work goes on for so long at most before everything else on the event loop has its turn. */
const TURN_MS = 5;

/** A token bucket over bytes read and written, with short naps: the disk is never busy for long. */
export class Pace {
  #paidUpToMs: number;
  #turnBeganMs: number;

  constructor(
    private readonly bytesPerSecond: number,
    private readonly signal: AbortSignal | undefined,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#paidUpToMs = now();
    this.#turnBeganMs = now();
  }

  /**
   * Resolves when `bytes` more fit the rate.
   * @throws the signal's reason once it is aborted.
   */
  async take(bytes: number): Promise<void> {
    this.signal?.throwIfAborted();
    // What was not used up is lost: there are no bursts beyond one nap.
    const earliest = this.now() - MAX_NAP_MS;
    this.#paidUpToMs = Math.max(this.#paidUpToMs, earliest) + (bytes / this.bytesPerSecond) * 1000;
    for (;;) {
      const napMs = Math.min(MAX_NAP_MS, this.#paidUpToMs - this.now());
      if (napMs < MIN_NAP_MS) break;
      await setTimeout(napMs, undefined, { ref: false });
      this.#turnBeganMs = this.now();
      this.signal?.throwIfAborted();
    }
    if (this.now() - this.#turnBeganMs < TURN_MS) return;
    await setImmediate();
    this.#turnBeganMs = this.now();
    this.signal?.throwIfAborted();
  }
}
