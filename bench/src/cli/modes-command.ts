import { tmpdir } from 'node:os';
import { Command } from 'commander';
import { BenchError } from '../errors.js';
import type { LoadLimit } from '../load/spec.js';
import { phasesOf } from '../results/cell-figures.js';
import { phaseTables } from '../results/figure-table.js';
import type { Cell, ResultFile } from '../results/schema.js';
import type { Contender } from '../rounds/contender.js';
import { allCells, namedCells, runningBrokers } from '../rounds/millrace-contender.js';
import { roundPhases } from '../rounds/phases.js';
import { runRounds } from '../rounds/run-rounds.js';
import { parseCount, parseDurationMs } from '../util/units.js';
import { addStartOptions, brokerArguments } from './broker-options.js';
import type { BrokerOptions } from './broker-options.js';
import { checkRoom } from './data-dir.js';
import { addLoadOptions, addOutputOptions, limitOf, parsed, specOf } from './options.js';
import type { LoadOptions, OutputOptions } from './options.js';
import { runCommand } from './run-command.js';
import type { RunContext } from './run-command.js';
import { tableLines } from './summary.js';

/** What commands with rounds share. */
export interface RoundsOptions extends LoadOptions, OutputOptions {
  readonly rounds: number;
  readonly rateDuration: number;
}

interface Options
  extends RoundsOptions, Pick<BrokerOptions, 'durability' | 'segmentBytes' | 'dataDir'> {
  readonly modes?: string;
  readonly brokers?: string;
  readonly cold: boolean;
}

const DEFAULT_LIMIT: LoadLimit = { bytes: 256 * 2 ** 20 };

export function addRoundsOptions(command: Command): Command {
  return addOutputOptions(
    addLoadOptions(command, { size: '1KiB', rate: 1_000, warmup: 500, acks: '1' }),
  )
    .option(
      '--rounds <n>',
      'rounds, interleaved',
      parsed((text) => parseCount(text, 1)),
      5,
    )
    .option(
      '--rate-duration <time>',
      'how long the end-to-end part is',
      parsed(parseDurationMs),
      3_000,
    );
}

/** `modes`: the cells side by side, and what each costs its broker. */
export function modesCommand(): Command {
  return addStartOptions(addRoundsOptions(new Command('modes')))
    .description(
      'The same load on brokers of each mode, in interleaved rounds; --rate is that of the end-to-end ' +
        'part, and 0 leaves it out.',
    )
    .option('--modes <list>', 'kafka,rocketmq,classic,millrace or pairs; default: all six pairs')
    .option('--brokers <list>', 'running brokers instead: NAME=HOST:PORT/HTTPPORT,…')
    .option('--no-cold', 'do not read from disk')
    .action((options: Options) => runCommand(options, (context) => runModes(options, context)));
}

async function runModes(options: Options, context: RunContext): Promise<Partial<ResultFile>> {
  const limit = limitOf(options, DEFAULT_LIMIT);
  const contenders = contendersOf(options);
  const spec = specOf(
    { ...options, api: 'send' },
    {
      target: { driver: 'millrace', address: options.brokers ?? 'started' },
      topic: options.topic ?? '',
      consume: { from: 'beginning', atEnd: 'rewind' },
      stamped: options.rate > 0,
    },
  );
  if (options.brokers === undefined) {
    context.dataDir = options.dataDir ?? tmpdir();
    checkRoom(context.dataDir, spec, limit);
  }
  const phases = roundPhases({
    ...{ limit, warmupMs: options.warmup, cold: options.cold },
    ...{ rate: options.rate, rateDurationMs: options.rateDuration },
  });
  const cells = await runRounds({ contenders, rounds: options.rounds, phases, spec }, context);
  const result = {
    kind: 'modes',
    name: options.name ?? 'modes',
    load: spec,
    limit,
    cells,
  } as const;
  sayTables(cells, context);
  return result;
}

function contendersOf(options: Options): readonly Contender[] {
  const { brokers, dataDir, modes } = options;
  if (brokers !== undefined) {
    const own = (['modes', 'dataDir', 'durability', 'segmentBytes'] as const).find(
      (key) => options[key] !== undefined,
    );
    if (own === undefined) return runningBrokers(brokers);
    throw new BenchError(`--brokers names brokers that run: what they are cannot be set (${own})`);
  }
  const start = { args: brokerArguments(options), parent: dataDir };
  return modes === undefined ? allCells(start) : namedCells(modes, start);
}

/** The tables of a comparison, on the terminal. */
export function sayTables(cells: readonly Cell[], context: RunContext): void {
  for (const { title, head, rows, verdict } of phasesOf(cells).flatMap((phase) =>
    phaseTables(cells, phase),
  )) {
    context.say('', title, ...tableLines([head, ...rows]));
    if (verdict !== undefined) context.say(`beyond the noise: ${verdict}`);
  }
  context.say('');
}
