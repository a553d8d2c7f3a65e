import { toMillraceError, type MillraceError } from '../errors.js';
import { ignore, sleep } from './async.js';
import { backoffMs, type BackoffOptions } from './backoff.js';

/**
 * Background steps, each under a key: at most one of a key runs, and after a failure none of that
 * key runs again before its backoff is over. Whoever needs the step asks for it again then.
 */
export class RetryingTasks {
  readonly #backoff: BackoffOptions;
  readonly #signal: AbortSignal;
  readonly #running = new Set<string>();
  readonly #failures = new Map<string, number>();

  constructor(backoff: BackoffOptions, signal: AbortSignal) {
    this.#backoff = backoff;
    this.#signal = signal;
  }

  /**
   * Runs the step unless it runs already or backs off.
   *
   * @param onFailed at once when it failed, with how long it is not tried again (in ms).
   * @param onReady when it succeeded, or when it may be asked for again.
   */
  run(
    key: string,
    step: () => Promise<unknown>,
    onFailed: (error: MillraceError, delayMs: number) => void,
    onReady: () => void,
  ): void {
    if (this.#running.has(key) || this.#signal.aborted) return;
    this.#running.add(key);
    this.#attempt(key, step, onFailed)
      .then(() => {
        this.#running.delete(key);
        if (!this.#signal.aborted) onReady();
      })
      .catch(ignore);
  }

  async #attempt(
    key: string,
    step: () => Promise<unknown>,
    onFailed: (error: MillraceError, delayMs: number) => void,
  ): Promise<void> {
    try {
      await step();
      this.#failures.delete(key);
    } catch (error) {
      if (this.#signal.aborted) throw error;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const delayMs = backoffMs(this.#backoff, failures);
      onFailed(toMillraceError(error), delayMs);
      await sleep(delayMs, this.#signal);
    }
  }
}
