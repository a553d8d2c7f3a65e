/** Bounds of an exponential backoff. */
export interface BackoffOptions {
  /** Wait after the first failure, in milliseconds. */
  readonly initialMs: number;
  /** Longest wait, before jitter, in milliseconds. */
  readonly maximumMs: number;
}

/** Share by which a wait is stretched or shortened, so that many clients do not come back at once. */
export const BACKOFF_JITTER = 0.2;

/**
 * How long to wait after the `failures`th failure in a row: doubled each time up to the maximum,
 * with ±20 % jitter (the shape of KIP-580).
 *
 * @param failures ≥ 1
 * @param random a number from [0, 1); given by tests
 */
export function backoffMs(
  options: BackoffOptions,
  failures: number,
  random = Math.random(),
): number {
  const exponent = Math.min(Math.max(failures, 1) - 1, 30);
  const base = Math.min(options.initialMs * 2 ** exponent, options.maximumMs);
  return Math.round(base * (1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * random));
}
