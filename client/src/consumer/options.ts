import { InvalidArgumentError } from '../errors.js';
import { choiceOption, integerOption } from '../util/check.js';
import { checkKeys, type KeysOf } from '../util/known-keys.js';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Defaults of a consumer. Sizes in bytes, times in milliseconds. */
export const consumerDefaults = {
  maxBytes: 4 * MiB,
  prefetchBytes: 16 * MiB,
  maxWaitMs: 500,
  minBytes: 1,
} as const;

/** Where to start reading. */
export type StartPosition =
  | 'beginning'
  | 'end'
  /**
   * In every partition this offset. Where one does not hold it, `onOutOfRange` says what to do;
   * with `clamp`, reading starts there at the nearest it has: its beginning or its end.
   */
  | { readonly offset: number; readonly clamp?: boolean | undefined }
  /** The first message at or after the time (Unix, ms); the end when there is none. */
  | { readonly timestampMs: number }
  | Date;

/** Options of a consumer: a plain reader, which remembers nothing between runs. */
export interface ConsumerOptions {
  readonly topics: readonly string[];
  /**
   * Where to start in each partition. Default `'beginning'`: without a group nobody knows what
   * was read before, and starting at the end would skip messages without a word.
   */
  readonly from?: StartPosition | undefined;
  /** Only these partitions of each topic. Default all. */
  readonly partitions?: readonly number[] | undefined;
  /** Bytes of one fetch response; a single batch may be larger. Default 4 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * Bytes fetched ahead of the application; when they are reached nothing more is fetched until
   * half of them were taken. One response may reach beyond. Default 16 MiB.
   */
  readonly prefetchBytes?: number | undefined;
  /** How long the broker waits for `minBytes` before it answers with less, in ms. Default 500. */
  readonly maxWaitMs?: number | undefined;
  /** Default 1: the broker answers as soon as there is something. */
  readonly minBytes?: number | undefined;
  /** Whether each batch's CRC-32C is checked. Default true. */
  readonly checkCrc?: boolean | undefined;
  /** Whether iteration ends where the broker has nothing more at present. Default false. */
  readonly exitAtEnd?: boolean | undefined;
  /**
   * What to do when the position is not (or no longer) in the log. Default `'fail'`: throw
   * OffsetOutOfRangeError, which names what there is. The others go on there, skipping or
   * repeating messages.
   */
  readonly onOutOfRange?: 'fail' | 'beginning' | 'end' | undefined;
  /** Ends the iteration by throwing the signal's reason; `close()` ends it quietly. */
  readonly signal?: AbortSignal | undefined;
}

/** Options with every default filled in. */
export interface ResolvedConsumerOptions {
  readonly topics: readonly string[];
  readonly from: StartPosition;
  readonly partitions: readonly number[] | undefined;
  readonly maxBytes: number;
  readonly prefetchBytes: number;
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly checkCrc: boolean;
  readonly exitAtEnd: boolean;
  readonly onOutOfRange: 'fail' | 'beginning' | 'end';
  readonly signal: AbortSignal | undefined;
}

const optionKeys: KeysOf<ConsumerOptions> = {
  topics: true,
  from: true,
  partitions: true,
  maxBytes: true,
  prefetchBytes: true,
  maxWaitMs: true,
  minBytes: true,
  checkCrc: true,
  exitAtEnd: true,
  onOutOfRange: true,
  signal: true,
};

/** @throws InvalidArgumentError that names the option and what it takes. */
export function resolveConsumerOptions(options: ConsumerOptions): ResolvedConsumerOptions {
  const d = consumerDefaults;
  checkKeys('consumer option', options, optionKeys);
  const { topics, partitions } = options;
  if (!Array.isArray(topics) || topics.length === 0) {
    throw new InvalidArgumentError('topics must name at least one topic');
  }
  if (partitions?.length === 0) {
    throw new InvalidArgumentError('partitions must name at least one, or be left out for all');
  }
  for (const partition of partitions ?? []) {
    integerOption('each of partitions', partition, 0, { minimum: 0 });
  }
  const size = { minimum: 1, maximum: 1024 * MiB };
  return {
    topics: [...new Set(topics)],
    from: checkStart(options.from ?? 'beginning'),
    partitions: partitions === undefined ? undefined : [...new Set(partitions)],
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
    exitAtEnd: options.exitAtEnd ?? false,
    onOutOfRange: choiceOption('onOutOfRange', options.onOutOfRange ?? 'fail', [
      'fail',
      'beginning',
      'end',
    ]),
    signal: options.signal,
  };
}

function checkStart(from: StartPosition): StartPosition {
  if (from === 'beginning' || from === 'end') return from;
  const value: unknown =
    from instanceof Date ? from.getTime() : 'offset' in from ? from.offset : from.timestampMs;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return from;
  throw new InvalidArgumentError(
    `from must be 'beginning', 'end', { offset }, { timestampMs } or a Date, with a number that ` +
      `is not negative, not ${String(value)}`,
  );
}
