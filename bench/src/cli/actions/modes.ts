import { tmpdir } from 'node:os';
import { scrape } from '../../broker/metrics.js';
import { BenchError } from '../../errors.js';
import type { LoadLimit, LoadSpec } from '../../load/spec.js';
import { loopContenders } from '../../reference/loops.js';
import { referencePhases } from '../../reference/phases.js';
import { planReference } from '../../reference/plan.js';
import type { ReferencePlan } from '../../reference/plan.js';
import { referenceProgram } from '../../reference/program.js';
import type { ResultFile } from '../../results/schema.js';
import type { Contender } from '../../rounds/contender.js';
import { allCells, namedCells, runningBrokers } from '../../rounds/millrace-contender.js';
import { roundPhases } from '../../rounds/phases.js';
import { runRounds } from '../../rounds/run-rounds.js';
import type { BrokerOptions } from '../broker-options.js';
import { checkRoom } from '../data-dir.js';
import { withConnection } from '../measured-load.js';
import type { RoundsOptions } from '../modes-command.js';
import { runCommand } from '../run-command.js';
import type { RunContext } from '../run-command.js';
import { limitOf, specOf } from './load-spec.js';
import { sayTables } from './tables.js';
import { brokerArguments } from './target.js';

export interface ModesOptions
  extends RoundsOptions, Pick<BrokerOptions, 'durability' | 'segmentBytes' | 'dataDir'> {
  readonly modes?: string;
  readonly brokers?: string;
  readonly cold: boolean;
  readonly reference: boolean;
}

const DEFAULT_LIMIT = { bytes: 256 * 2 ** 20 } as const satisfies LoadLimit;
/** With --reference: the load's bytes, those of the plain sender, and its warming up. */
const REFERENCE_ROOM = 2.25;

/** `modes`: the cells side by side, and what each costs its broker. */
export function modes(options: ModesOptions): Promise<void> {
  return runCommand(options, (context) => runModes(options, context));
}

async function runModes(options: ModesOptions, context: RunContext): Promise<Partial<ResultFile>> {
  const limit = limitOf(options, DEFAULT_LIMIT);
  const brokers = contendersOf(options);
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
  const reference = options.reference
    ? await referenceOf(options, spec, limit, context)
    : undefined;
  if (options.brokers !== undefined) await checkThere(brokers);
  const phases = roundPhases({
    ...{ limit, warmupMs: options.warmup, cold: options.cold },
    ...{ rate: options.rate, rateDurationMs: options.rateDuration },
    own: reference === undefined ? [] : referencePhases(reference),
  });
  const loops = reference === undefined ? [] : loopContenders(reference);
  const contenders = [...brokers, ...loops];
  const { rounds } = options;
  const cells = await runRounds({ contenders, rounds, phases, spec }, context);
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

/** All of them, before any is measured. @throws BenchError for one that is not there. */
async function checkThere(brokers: readonly Contender[]): Promise<void> {
  const opened = await Promise.all(brokers.map((broker) => broker.open()));
  for (const { target } of opened) await withConnection(target, () => Promise.resolve());
  for (const { httpAddress } of opened) if (httpAddress !== undefined) await scrape(httpAddress);
}

/** What the plain C loops move; undefined where they cannot be had, which is said. */
async function referenceOf(
  { brokers, dataDir }: ModesOptions,
  spec: LoadSpec,
  limit: LoadLimit,
  context: RunContext,
): Promise<ReferencePlan | undefined> {
  if (brokers !== undefined) {
    throw new BenchError(
      '--reference is beside brokers that are started here: leave out --brokers',
    );
  }
  const bytes = 'bytes' in limit ? limit.bytes : DEFAULT_LIMIT.bytes;
  // What is appended by the plain sender comes on top of what the load stored.
  checkRoom(context.dataDir ?? tmpdir(), spec, { bytes: REFERENCE_ROOM * bytes });
  try {
    return planReference(await referenceProgram(dataDir), spec, bytes, dataDir);
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    context.notes.push(`left out: ${error.message}`);
    context.say(`left out: ${error.message}`);
    return undefined;
  }
}

function contendersOf(options: ModesOptions): readonly Contender[] {
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
