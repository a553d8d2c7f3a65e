import { tmpdir } from 'node:os';
import { driverNames } from '../../drivers/driver.js';
import type { DriverName } from '../../drivers/driver.js';
import { loadDriver } from '../../drivers/index.js';
import { BenchError } from '../../errors.js';
import type { LoadLimit, LoadSpec, ProduceApi } from '../../load/spec.js';
import type { ResultFile } from '../../results/schema.js';
import type { Contender } from '../../rounds/contender.js';
import { namedCells } from '../../rounds/millrace-contender.js';
import { runRounds } from '../../rounds/run-rounds.js';
import type { RoundPhase } from '../../rounds/run-rounds.js';
import { findProgram } from '../../servers/find-program.js';
import {
  kafkaContender,
  natsCanSync,
  natsContender,
  redisContender,
} from '../../servers/other-contenders.js';
import { quoted } from '../../util/units.js';
import type { BrokerOptions } from '../broker-options.js';
import { checkRoom } from '../data-dir.js';
import type { RoundsOptions } from '../modes-command.js';
import { runCommand } from '../run-command.js';
import type { RunContext } from '../run-command.js';
import { limitOf, specOf } from './load-spec.js';
import { sayTables } from './tables.js';
import { brokerArguments } from './target.js';

export interface CompareOptions
  extends RoundsOptions, Pick<BrokerOptions, 'durability' | 'segmentBytes' | 'dataDir'> {
  readonly drivers?: string;
  readonly kafka?: string;
}

const DEFAULT_LIMIT: LoadLimit = { messages: 200_000 };

/** `compare`: the same load on other brokers. */
export function compare(options: CompareOptions): Promise<void> {
  return runCommand(options, (context) => runCompare(options, context));
}

async function runCompare(
  options: CompareOptions,
  context: RunContext,
): Promise<Partial<ResultFile>> {
  const limit = limitOf(options, DEFAULT_LIMIT);
  const spec = specOf(
    { ...options, api: 'send', rate: 0 },
    {
      target: { driver: 'millrace', address: 'started' },
      topic: '',
      consume: { from: 'beginning', atEnd: 'wait' },
      stamped: false,
    },
  );
  context.dataDir = options.dataDir ?? tmpdir();
  checkRoom(context.dataDir, spec, limit);
  const contenders = await contendersOf(options, spec, context);
  for (const { about, name } of contenders) context.say(`${name}: ${about}`);
  const api: ProduceApi = options.api ?? 'send';
  const phases = comparePhases(options, api, limit);
  const { rounds } = options;
  const cells = await runRounds({ contenders, rounds, phases, spec }, context);
  sayTables(cells, context);
  return { kind: 'compare', name: options.name ?? 'compare', load: { ...spec, api }, limit, cells };
}

/** What every client can do: nothing is read twice, and every message is awaited. */
function comparePhases(options: CompareOptions, api: ProduceApi, limit: LoadLimit): RoundPhase[] {
  const { rate, rateDuration, warmup: warmupMs } = options;
  const warmup = warmupMs === 0 ? undefined : { durationMs: warmupMs };
  const phases: RoundPhase[] = [
    { phase: 'produce', spec: { api }, warmup, limit },
    { phase: 'consume', spec: {}, warmup: undefined, limit },
  ];
  if (rate > 0) {
    phases.push({
      phase: 'e2e',
      spec: { ratePerSecond: rate, stamped: true, consume: { from: 'end', atEnd: 'wait' } },
      warmup,
      limit: { durationMs: rateDuration },
    });
  }
  return phases;
}

async function contendersOf(
  options: CompareOptions,
  { acks }: LoadSpec,
  context: RunContext,
): Promise<readonly Contender[]> {
  const named = options.drivers?.split(',').map((name) => name.trim());
  const unknown = named?.find((name) => !driverNames.some((known) => known === name));
  if (unknown !== undefined) {
    throw new BenchError(`--drivers takes ${driverNames.join(', ')}, not ${quoted(unknown)}`);
  }
  const contenders: Contender[] = [];
  for (const name of driverNames) {
    if (named !== undefined && !named.includes(name)) continue;
    const found = await contenderOf(name, options, acks);
    if (typeof found !== 'string') contenders.push(found);
    else if (named !== undefined) throw new BenchError(found);
    else {
      context.say(`left out: ${found}`);
      context.notes.push(`left out: ${found}`);
    }
  }
  return contenders;
}

/** The contender, or why it cannot be had here. */
async function contenderOf(
  name: DriverName,
  options: CompareOptions,
  acks: LoadSpec['acks'],
): Promise<Contender | string> {
  const { dataDir, kafka } = options;
  switch (name) {
    case 'millrace': {
      const start = { args: brokerArguments(options), parent: dataDir };
      const [contender] = namedCells('millrace', start);
      const driver = await loadDriver('millrace');
      const about = `acknowledged: ${driver.acknowledgement(acks)}`;
      return contender === undefined ? 'millrace' : { ...contender, about };
    }
    case 'nats': {
      const program = findProgram('nats-server');
      if (program === undefined) return 'nats: nats-server is not installed (Debian: nats-server)';
      if (acks === 'all' && !natsCanSync(program)) {
        return 'nats: this nats-server cannot sync before it answers (2.10 can): give --acks 1';
      }
      return natsContender(program, acks, dataDir);
    }
    case 'redis': {
      const program = findProgram('redis-server');
      if (program === undefined)
        return 'redis: redis-server is not installed (Debian: redis-server)';
      return redisContender(program, acks, dataDir);
    }
    case 'kafka':
      if (kafka === undefined)
        return 'kafka: give the address of one that runs, by --kafka HOST:PORT';
      return kafkaContender(kafka, acks);
  }
}
