import { InvalidArgumentError } from '../errors.js';
import { integerOption } from '../util/check.js';
import { checkKeys, type KeysOf } from '../util/known-keys.js';
import { quoted } from '../util/text.js';
import {
  checkOutOfRange,
  resolveFetchOptions,
  type FetchOptions,
  type OutOfRangePolicy,
  type StreamOptions,
} from './fetch-options.js';

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
export interface ConsumerOptions extends FetchOptions {
  /** An added partition is read from its beginning, within `metadataMaxAgeMs` of the client. */
  readonly topics: readonly string[];
  /**
   * Where to start in each partition. Default `'beginning'`: without a group nobody knows what
   * was read before, and starting at the end would skip messages without a word.
   */
  readonly from?: StartPosition | undefined;
  /** Only these partitions of each topic. Default all. */
  readonly partitions?: readonly number[] | undefined;
  /** Whether iteration ends where the broker has nothing more at present. Default false. */
  readonly exitAtEnd?: boolean | undefined;
  /**
   * What to do when the position is not (or no longer) in the log. Default `'fail'`: throw
   * OffsetOutOfRangeError, which names what there is. The others go on there, skipping or
   * repeating messages.
   */
  readonly onOutOfRange?: OutOfRangePolicy | undefined;
  /** Ends the iteration by throwing the signal's reason; `close()` ends it quietly. */
  readonly signal?: AbortSignal | undefined;
}

/** Options with every default filled in. */
export interface ResolvedConsumerOptions extends StreamOptions {
  readonly topics: readonly string[];
  readonly from: StartPosition;
  readonly partitions: readonly number[] | undefined;
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
  checkKeys('consumer option', options, optionKeys);
  const { topics, partitions } = options;
  if (!Array.isArray(topics)) {
    throw new InvalidArgumentError("topics must be an array of names, such as ['orders']");
  }
  if (topics.length === 0) {
    throw new InvalidArgumentError('topics must name at least one topic');
  }
  if (partitions?.length === 0) {
    throw new InvalidArgumentError('partitions must name at least one, or be left out for all');
  }
  for (const partition of partitions ?? []) {
    integerOption('each of partitions', partition, 0, { minimum: 0 });
  }
  return {
    topics: [...new Set(topics)],
    from: checkStart(options.from ?? 'beginning'),
    partitions: partitions === undefined ? undefined : [...new Set(partitions)],
    ...resolveFetchOptions(options),
    exitAtEnd: options.exitAtEnd ?? false,
    onOutOfRange: checkOutOfRange(options.onOutOfRange ?? 'fail'),
    signal: options.signal,
  };
}

/** What others call our two positions. */
const otherNames: Readonly<Record<string, string>> = {
  earliest: 'beginning',
  start: 'beginning',
  latest: 'end',
};

/** @throws InvalidArgumentError */
export function checkStart(from: StartPosition): StartPosition {
  if (from === 'beginning' || from === 'end') return from;
  const value = numberOf(from);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return from;
  const meant = typeof value === 'string' && new Map(Object.entries(otherNames)).get(value);
  const hint = typeof meant === 'string' ? `; did you mean '${meant}'?` : '';
  const shown = typeof value === 'string' ? quoted(value) : String(value);
  throw new InvalidArgumentError(
    `from must be 'beginning', 'end', { offset }, { timestampMs } or a Date, with a number that ` +
      `is not negative, not ${shown}${hint}`,
  );
}

/** The number in a position; text where there can be none. Callers may be untyped. */
function numberOf(from: unknown): unknown {
  if (from instanceof Date) return from.getTime();
  if (typeof from !== 'object' || from === null) return String(from);
  if ('offset' in from) return from.offset;
  return 'timestampMs' in from ? from.timestampMs : undefined;
}
