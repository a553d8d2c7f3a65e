import type { Logger } from 'pino';
import { errnoOf } from './errors.js';

/**
 * Reports a log's background work that failed and is done again: once per reason, until everything that
 * failed for that reason has succeeded. A full disk is one line per log, not one per attempt.
 */
export class BackgroundWarnings {
  /** Of each work that fails, why. */
  readonly #failing = new Map<string, string>();

  constructor(
    private readonly log: string,
    private readonly logger: Logger,
  ) {}

  /** @param work what it was, as in `write the index`. */
  failed(work: string, error: unknown): void {
    const reason = errnoOf(error) ?? 'unknown';
    const known = [...this.#failing.values()].includes(reason);
    this.#failing.set(work, reason);
    if (known) return;
    this.logger.warn(
      { err: error, log: this.log },
      `could not ${work}; it is tried again, and not reported again until it has succeeded`,
    );
  }

  succeeded(work: string): void {
    this.#failing.delete(work);
  }
}
