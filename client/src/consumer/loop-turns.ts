/** The event loop gets a turn at least so often, for timers, sockets and signals. */
const MAX_TURN_MS = 10;
/** Messages between looks at the clock while they take less than {@link FAST_MS} together. */
const FAST_STRIDE = 8;
const FAST_MS = 0.5;

/**
 * Gives the event loop its turns while there is always another message at hand: promises that are
 * resolved already would keep everything else waiting until the last one is handled. Looking at the
 * clock costs a tenth of what a message does, so while messages are fast only some of them do.
 */
export class LoopTurns {
  #turnedAtMs = -Infinity;
  #lookedAtMs = 0;
  #skip = 0;

  /** Whether a turn is due. Called for every message. */
  isDue(): boolean {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return false;
    }
    return this.#look(performance.now());
  }

  /** Lets the event loop turn. */
  async turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.turned();
  }

  /** It has turned for another reason. */
  turned(): void {
    this.#turnedAtMs = performance.now();
  }

  #look(nowMs: number): boolean {
    this.#skip = nowMs - this.#lookedAtMs < FAST_MS ? FAST_STRIDE - 1 : 0;
    this.#lookedAtMs = nowMs;
    return nowMs - this.#turnedAtMs > MAX_TURN_MS;
  }
}
