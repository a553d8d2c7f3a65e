import { statSync } from 'node:fs';
import { BenchError } from '../../errors.js';
import { smallestPayload } from '../../load/payload.js';
import type { LoadLimit, LoadSpec, PayloadSpec } from '../../load/spec.js';
import { parseBytes, quoted, UnitError } from '../../util/units.js';
import type { LoadOptions } from '../options.js';

const DEFAULT_DURATION_MS = 10_000;

/** @throws BenchError when more than one limit is given. */
export function limitOf(options: LoadOptions, otherwise?: LoadLimit): LoadLimit {
  const { bytes, duration, messages } = options;
  const given: LoadLimit[] = [];
  if (duration !== undefined) given.push({ durationMs: duration });
  if (messages !== undefined) given.push({ messages });
  if (bytes !== undefined) given.push({ bytes });
  if (given.length > 1) {
    throw new BenchError('give one of --duration, --messages and --bytes: each ends the load');
  }
  const limit = given[0] ?? otherwise ?? { durationMs: DEFAULT_DURATION_MS };
  if (Object.values(limit)[0] === 0) throw new BenchError('a load of nothing measures nothing');
  return limit;
}

/**
 * The load that the options describe.
 *
 * @param own what the command knows better.
 * @throws BenchError for combinations that cannot be.
 */
export function specOf(
  options: LoadOptions,
  own: Pick<LoadSpec, 'target' | 'topic' | 'consume' | 'stamped'>,
): LoadSpec {
  const { keys, partitions, producers, consumers, rate, inFlight, pacing } = options;
  if (rate > 0 && options.api === 'enqueue') {
    throw new BenchError(
      '--rate sends each message at its time and awaits it: it goes with --api send, and ' +
        '--api enqueue with --rate 0',
    );
  }
  return {
    ...own,
    ...{ keys, partitions, producers, consumers, inFlight, pacing },
    payload: payloadOf(options, own.stamped),
    batchBytes: options.batch,
    lingerMs: options.linger,
    acks: options.acks === 'all' ? 'all' : options.acks === '1' ? 1 : 0,
    compression: options.compression,
    ratePerSecond: rate,
    api: options.api ?? (rate > 0 ? 'send' : 'enqueue'),
    fetchBytes: options.fetch,
    checkCrc: options.crc,
  };
}

function payloadOf({ payload, size }: LoadOptions, stamped: boolean): PayloadSpec {
  const kind = payload === 'random' || payload === 'json' || payload === 'zeros' ? payload : 'file';
  if (kind === 'file' && statSync(payload, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new BenchError(
      `--payload takes random, json, zeros or a file, and there is no file ${quoted(payload)}`,
    );
  }
  const [minBytes, maxBytes] = rangeOf(size);
  const smallest = smallestPayload(kind, stamped);
  if (minBytes < smallest) {
    const why = kind === 'json' ? 'as JSON' : 'with the time of its sending in it';
    throw new BenchError(`--size ${size}: a message ${why} has at least ${smallest} bytes`);
  }
  return { kind, file: kind === 'file' ? payload : undefined, minBytes, maxBytes };
}

function rangeOf(size: string): readonly [number, number] {
  const [from = '', to = from, ...rest] = size.split('..');
  try {
    const range = [parseBytes(from), parseBytes(to)] as const;
    if (rest.length === 0 && range[0] <= range[1]) return range;
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
  }
  throw new BenchError(`--size takes bytes, or a range such as 200..500, not ${quoted(size)}`);
}
