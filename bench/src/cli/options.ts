import { statSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { BenchError } from '../errors.js';
import { smallestPayload } from '../load/payload.js';
import type { LoadLimit, LoadSpec, Pacing, PayloadSpec, ProduceApi } from '../load/spec.js';
import { parseBytes, parseCount, parseDurationMs, quoted, UnitError } from '../util/units.js';

/** Options of every command that loads something; times in ms, sizes in bytes. */
export interface LoadOptions {
  readonly topic?: string;
  readonly partitions: number;
  readonly producers: number;
  readonly consumers: number;
  readonly size: string;
  readonly payload: string;
  readonly keys: number;
  readonly batch: number;
  readonly linger: number;
  readonly acks: string;
  readonly compression: LoadSpec['compression'];
  readonly rate: number;
  readonly pacing: Pacing;
  readonly api?: ProduceApi;
  readonly inFlight: number;
  readonly fetch: number;
  readonly crc: boolean;
  readonly duration?: number;
  readonly messages?: number;
  readonly bytes?: number;
  readonly warmup: number;
}

/** Options of every command that writes results. */
export interface OutputOptions {
  readonly name?: string;
  readonly results: string;
  readonly json: boolean;
  readonly csv: boolean;
}

/** A parser of commander's that tells unit errors as it tells its own. */
export function parsed<Value>(parse: (text: string) => Value): (text: string) => Value {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof UnitError) throw new InvalidArgumentError(`${error.message}.`);
      throw error;
    }
  };
}

const count = (minimum: number): ((text: string) => number) =>
  parsed((text) => parseCount(text, minimum));

/** @param defaults what this command does differently. */
export function addLoadOptions(command: Command, defaults: Partial<LoadOptions> = {}): Command {
  const d = { partitions: 4, size: '100', rate: 0, warmup: 2_000, acks: 'all', ...defaults };
  return command
    .option('--topic <name>', 'the topic; created when missing. Default: one of its own, removed')
    .option('--partitions <n>', 'partitions of a topic that is created', count(1), d.partitions)
    .option('--producers <n>', 'producers, each a process of its own', count(1), 1)
    .option('--consumers <n>', 'consumers, each a process of its own', count(1), 1)
    .option('--size <bytes>', 'size of a value: 100, 1KiB, or a range such as 200..500', d.size)
    .option('--payload <kind>', 'random, json, zeros, or a file to cut messages from', 'random')
    .option('--keys <n>', 'different keys; 0: messages have none', count(0), 0)
    .option('--batch <bytes>', 'size at which a batch is sent', parsed(parseBytes), 256 * 1024)
    .option('--linger <ms>', 'how long a batch waits for more, in ms', count(0), 0)
    .addOption(
      new Option('--acks <acks>', 'what is waited for').choices(['all', '1', '0']).default(d.acks),
    )
    .addOption(
      new Option('--compression <name>', 'how batches are compressed')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .option('--rate <n>', 'messages a second, in an open loop; 0: at maximum', count(0), d.rate)
    .addOption(
      new Option('--pacing <how>', 'an open loop waits exactly (a busy core) or by timers')
        .choices(['spin', 'timer'])
        .default('spin'),
    )
    .addOption(
      new Option(
        '--api <name>',
        'await each message, or go without. Default: send with --rate',
      ).choices(['send', 'enqueue']),
    )
    .option('--in-flight <n>', 'awaited messages of a producer, with send', count(1), 1_000)
    .option('--fetch <bytes>', 'size of a fetch', parsed(parseBytes), 1024 * 1024)
    .option('--no-crc', 'consumers do not check the CRC of batches')
    .option('--duration <time>', 'how long to measure, such as 10s', parsed(parseDurationMs))
    .option('--messages <n>', 'measure so many messages instead', count(1))
    .option('--bytes <size>', 'measure so many bytes of values instead', parsed(parseBytes))
    .option('--warmup <time>', 'load before it is measured', parsed(parseDurationMs), d.warmup);
}

export function addOutputOptions(command: Command): Command {
  return command
    .option('--name <name>', 'names the result file')
    .option('--results <dir>', 'where result files and reports go', 'results')
    .option('--json', 'print the result as JSON on stdout', false)
    .option('--csv', 'print the result as CSV on stdout', false);
}

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
