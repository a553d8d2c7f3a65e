import { MillraceError, toMillraceError } from '../errors.js';
import type { EventListener } from '../events.js';
import { throwIfAborted } from './abort.js';
import { raceAbort, sleep } from './async.js';
import { backoffMs, type BackoffOptions } from './backoff.js';

/** How to retry. */
export interface RetryOptions {
  /** What is tried, for events. */
  readonly action: string;
  readonly backoff: BackoffOptions;
  /** No further attempt begins after this many milliseconds; Infinity goes on until aborted. */
  readonly retryForMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent: EventListener;
}

/**
 * Runs an attempt until it succeeds, fails with an error that is final, or the time is up.
 *
 * @throws the last attempt's error as it is; the signal's reason.
 */
export async function retry<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  const { action, backoff, retryForMs, signal, onEvent } = options;
  const deadlineMs = performance.now() + retryForMs;
  for (let failures = 1; ; failures += 1) {
    throwIfAborted(signal);
    try {
      return await raceAbort(attempt(), signal);
    } catch (thrown) {
      throwIfAborted(signal);
      if (!(thrown instanceof MillraceError)) throw thrown;
      const error = toMillraceError(thrown);
      const delayMs = backoffMs(backoff, failures);
      if (!error.retriable || performance.now() + delayMs > deadlineMs) throw error;
      onEvent({ type: 'retry', action, attempt: failures, delayMs, error });
      await sleep(delayMs, signal);
    }
  }
}
