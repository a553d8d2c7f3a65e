/**
 * Counts the calls of `next()` that wait for an answer, which tells what is handled. Whoever reads
 * one by one is done with a message when the next one is asked for. With several calls at a time
 * (by a pool of workers, say) nobody can know which message a call is the end of; only when as many
 * wait as ever did nothing is being handled.
 */
export class PendingCalls {
  #pending = 0;
  /** As many as ever waited at a time. */
  #most = 1;

  get pending(): number {
    return this.#pending;
  }

  /** Whether calls have ever overlapped. */
  get haveOverlapped(): boolean {
    return this.#most > 1;
  }

  /**
   * @returns `'all-handled'` when everything given out before is; `'overlap'` when more calls wait
   *   than ever did before.
   */
  begin(): 'all-handled' | 'overlap' | 'unknown' {
    this.#pending += 1;
    if (this.#pending > this.#most) {
      this.#most = this.#pending;
      return 'overlap';
    }
    return this.#pending === this.#most ? 'all-handled' : 'unknown';
  }

  end(): void {
    this.#pending -= 1;
  }
}
