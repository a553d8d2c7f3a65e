import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { LoadSpec, Pacing, ProduceApi } from '../load/spec.js';
import {
  formatBytes,
  formatDuration,
  parseBytes,
  parseCount,
  parseDurationMs,
  UnitError,
} from '../util/units.js';

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

/** An option that takes a time, in ms in code; its default is shown as it would be given. */
export function timeOption(flags: string, about: string, defaultMs?: number): Option {
  const option = new Option(flags, about).argParser(parsed(parseDurationMs));
  return defaultMs === undefined ? option : option.default(defaultMs, formatDuration(defaultMs));
}

/** An option that takes a size, in bytes in code. */
export function sizeOption(flags: string, about: string, defaultBytes?: number): Option {
  const option = new Option(flags, about).argParser(parsed(parseBytes));
  if (defaultBytes === undefined) return option;
  return option.default(defaultBytes, formatBytes(defaultBytes).replace(/(\.00)? /, ''));
}

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
    .addOption(sizeOption('--batch <bytes>', 'size at which a batch is sent', 256 * 1024))
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
    .addOption(sizeOption('--fetch <bytes>', 'size of a fetch', 1024 * 1024))
    .option('--no-crc', 'consumers do not check the CRC of batches')
    .addOption(timeOption('--duration <time>', 'how long to measure, such as 10s'))
    .option('--messages <n>', 'measure so many messages instead', count(1))
    .addOption(sizeOption('--bytes <size>', 'measure so many bytes of values instead'))
    .addOption(timeOption('--warmup <time>', 'load before it is measured', d.warmup));
}

export function addOutputOptions(command: Command): Command {
  return command
    .option('--name <name>', 'names the result file')
    .option('--results <dir>', 'where result files and reports go', 'results')
    .option('--json', 'print the result as JSON on stdout', false)
    .option('--csv', 'print the result as CSV on stdout', false);
}
