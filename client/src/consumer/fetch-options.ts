import { choiceOption, integerOption } from '../util/check.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Defaults of a consumer. Sizes in bytes, times in milliseconds. */
export const consumerDefaults = {
  maxBytes: 4 * MiB,
  prefetchBytes: 16 * MiB,
  maxWaitMs: 500,
  minBytes: 1,
} as const;

/** What to do when the position is not (or no longer) in the log. */
export type OutOfRangePolicy = 'fail' | 'beginning' | 'end';

/** How a consumer fetches. */
export interface FetchOptions {
  /** Bytes of one fetch response; a single batch may be larger. Default 4 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * Bytes fetched ahead of the application; when they are reached nothing more is fetched until
   * half of them were taken. Responses under way may reach beyond. What was fetched of paused
   * partitions has as much room again. Default 16 MiB.
   */
  readonly prefetchBytes?: number | undefined;
  /** How long the broker waits for `minBytes` before it answers with less, in ms. Default 500. */
  readonly maxWaitMs?: number | undefined;
  /** Default 1: the broker answers as soon as there is something. */
  readonly minBytes?: number | undefined;
  /** Whether each batch's CRC-32C is checked. Default true. */
  readonly checkCrc?: boolean | undefined;
}

/** What a stream of partitions needs to know, every default filled in. */
export interface StreamOptions {
  readonly maxBytes: number;
  readonly prefetchBytes: number;
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly checkCrc: boolean;
  /** Whether a partition is done where the broker has nothing more at present. */
  readonly exitAtEnd: boolean;
  readonly onOutOfRange: OutOfRangePolicy;
}

/** @throws InvalidArgumentError that names the option and what it takes. */
export function resolveFetchOptions(
  options: FetchOptions,
): Omit<StreamOptions, 'exitAtEnd' | 'onOutOfRange'> {
  const d = consumerDefaults;
  const size = { minimum: 1, maximum: 1024 * MiB };
  return {
    maxBytes: integerOption('maxBytes', options.maxBytes, d.maxBytes, {
      minimum: 1,
      maximum: 32 * MiB,
    }),
    prefetchBytes: integerOption('prefetchBytes', options.prefetchBytes, d.prefetchBytes, size),
    maxWaitMs: integerOption('maxWaitMs', options.maxWaitMs, d.maxWaitMs, {
      minimum: 0,
      maximum: 3_600_000,
    }),
    minBytes: integerOption('minBytes', options.minBytes, d.minBytes, { ...size, minimum: 0 }),
    checkCrc: options.checkCrc ?? true,
  };
}

/** @throws InvalidArgumentError */
export function checkOutOfRange(policy: unknown): OutOfRangePolicy {
  return choiceOption('onOutOfRange', policy, ['fail', 'beginning', 'end']);
}
