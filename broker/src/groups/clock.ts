/** Time as the group coordinator knows it, so that tests drive it without waiting. */
export interface Clock {
  /** Milliseconds since 1970: what is stored with commits and states. */
  nowMs(): number;
  /**
   * Calls `run` once, `delayMs` from now, whatever happens to {@link nowMs} meanwhile.
   *
   * @returns the way to cancel; without effect when it has run.
   */
  after(delayMs: number, run: () => void): () => void;
}

/** The real one. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs).unref();
    return () => {
      clearTimeout(timer);
    };
  },
};
