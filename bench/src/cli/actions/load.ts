import { dropPages } from '../../broker/page-cache.js';
import type { Residency } from '../../broker/page-cache.js';
import type { StartedBroker } from '../../broker/started-broker.js';
import type { DriverConnection } from '../../drivers/driver.js';
import { BenchError } from '../../errors.js';
import { findMaxRate } from '../../load/find-max-rate.js';
import type { LoadPlan } from '../../load/run-load.js';
import { checkConsumers } from '../../load/spec.js';
import type { LoadLimit, LoadSpec } from '../../load/spec.js';
import type { Measurement, PhaseName, ResultFile } from '../../results/schema.js';
import { significant } from '../../util/units.js';
import type { BrokerOptions } from '../broker-options.js';
import { checkRoom } from '../data-dir.js';
import { measureLoad, withConnection } from '../measured-load.js';
import type { LoadOptions, OutputOptions } from '../options.js';
import { runCommand } from '../run-command.js';
import type { RunContext } from '../run-command.js';
import { latencyLines, summaryLines } from '../summary.js';
import { limitOf, specOf } from './load-spec.js';
import { addressesOf, withTarget } from './target.js';
import type { Target } from './target.js';

export type Kind = 'produce' | 'consume' | 'e2e';

export interface KindOptions extends LoadOptions, OutputOptions, BrokerOptions {
  readonly fill: number;
  readonly findMaxRate?: boolean;
  readonly maxP99: number;
}

/** `produce`, `consume` and `e2e`. */
export function load(kind: Kind, options: KindOptions): Promise<void> {
  return runCommand(options, (context) => runKind(kind, options, context));
}

async function runKind(
  kind: Kind,
  options: KindOptions,
  context: RunContext,
): Promise<Partial<ResultFile>> {
  if (options.findMaxRate === true && options.rate > 0) {
    throw new BenchError('--find-max-rate looks for the rate: leave out --rate');
  }
  if (options.cold && kind !== 'consume') {
    throw new BenchError(`--cold is about reading: it goes with consume, not with ${kind}`);
  }
  if (kind === 'consume' && options.rate > 0) {
    throw new BenchError('consume reads as fast as it goes: --rate is for produce and e2e');
  }
  // All of what is cold is read once: a second time it is warm.
  const limit = limitOf(options, options.cold ? { bytes: options.fill } : undefined);
  return withTarget(options, async (target) => {
    const { started } = target;
    context.dataDir = started?.dataDir;
    const run = new Run(kind, options, context, target, limit);
    // What is read was stored before, however long it is read.
    const stored = kind === 'consume' ? { bytes: options.fill } : limit;
    if (started !== undefined) checkRoom(started.dataDir, run.spec, stored);
    return run.run();
  });
}

/** One run of one of the commands on one broker. */
class Run {
  readonly spec: LoadSpec;
  /** The broker after {@link #makeCold}; it has to be gone before its directory is. */
  #restarted: StartedBroker | undefined;

  constructor(
    private readonly kind: Kind,
    private readonly options: KindOptions,
    private readonly context: RunContext,
    private target: Target,
    private readonly limit: LoadLimit,
  ) {
    this.spec = specOf(options, {
      target: { driver: 'millrace', address: target.address },
      topic: options.topic ?? `bench-${process.pid}-${Date.now().toString(36)}`,
      stamped: kind === 'e2e',
      consume:
        kind === 'e2e'
          ? { from: 'end', atEnd: 'wait' }
          : { from: 'beginning', atEnd: options.cold ? 'stop' : 'rewind' },
    });
  }

  async run(): Promise<Partial<ResultFile>> {
    const { kind, limit, options, spec } = this;
    const { topic } = spec;
    const result = { load: spec, limit, name: options.name ?? kind };
    return withConnection(spec.target, async (connection) => {
      const partitions = await connection.ensureTopic(topic, options.partitions);
      try {
        if (kind !== 'produce') checkConsumers(spec, partitions, topic);
        if (options.findMaxRate === true) {
          return { ...result, ...(await this.#searchRate(partitions)), kind: 'max-rate' as const };
        }
        if (kind === 'consume') await this.#fill(connection, partitions);
        const cold = options.cold ? await this.#makeCold() : undefined;
        const phase = options.cold ? 'consume-cold' : kind;
        const measured = await this.#measure(phase, partitions, this.spec);
        const measurements = measured === undefined ? [] : [{ ...measured, ...(cold && { cold }) }];
        this.context.say(...measurements.flatMap(summaryLines));
        return { ...result, kind: 'load' as const, cells: this.#cells(measurements) };
      } finally {
        await this.#restarted?.stop();
        if (options.topic === undefined && this.target.started === undefined) {
          await connection.deleteTopic(topic).catch(() => undefined);
        }
      }
    });
  }

  #cells(measurements: readonly Measurement[]): ResultFile['cells'] {
    const { address, started } = this.target;
    const { mode, persist, serve } = started?.ready ?? {};
    const name = mode ?? `broker ${address}`;
    const how = started === undefined ? '' : `persist=${persist ?? ''} serve=${serve ?? ''}`;
    return [{ name, about: how, rounds: [measurements] }];
  }

  #measure(phase: PhaseName, partitions: number, spec: LoadSpec): Promise<Measurement | undefined> {
    const { warmup } = this.options;
    const cold = phase === 'consume-cold';
    const plan: LoadPlan = {
      ...{ phase, partitions, limit: this.limit },
      spec: { ...spec, target: { ...spec.target, address: this.target.address } },
      warmup: warmup === 0 || cold ? undefined : { durationMs: warmup },
    };
    const { signal } = this.context;
    return measureLoad(plan, phase, signal, this.target.httpAddress);
  }

  /** Something to read, where there is nothing. */
  async #fill(connection: DriverConnection, partitions: number): Promise<void> {
    const { fill, topic } = this.options;
    if (topic !== undefined && (await connection.messagesIn(topic)) > 0) return;
    const spec: LoadSpec = { ...this.spec, api: 'enqueue', acks: 1 };
    const plan = { spec, partitions, warmup: undefined, limit: { bytes: fill } };
    const { signal } = this.context;
    await measureLoad({ ...plan, phase: 'produce' }, 'filling', signal, undefined);
  }

  async #makeCold(): Promise<Residency> {
    const { started } = this.target;
    if (started === undefined) throw new BenchError('--cold needs a broker that is started here');
    let residency: Residency | undefined;
    const again = await started.restart(async () => {
      residency = await dropPages(started.dataDir);
    });
    this.target = { ...addressesOf(again), started: again };
    this.#restarted = again;
    return residency ?? { residentBytes: NaN, totalBytes: NaN };
  }

  async #searchRate(partitions: number): Promise<Partial<ResultFile>> {
    const { context, kind } = this;
    const maxP99Ms = this.options.maxP99;
    const found = await findMaxRate(async (ratePerSecond) => {
      const spec: LoadSpec = { ...this.spec, ratePerSecond, api: 'send' };
      const measurement = await this.#measure(kind, partitions, spec);
      if (measurement === undefined) return undefined;
      const { endToEnd, publish } = measurement.latencies;
      const p99Ms = ((endToEnd ?? publish)?.p99Us ?? Infinity) / 1_000;
      const held = measurement.generator.limit === undefined && p99Ms <= maxP99Ms;
      const verdict = held ? 'held' : 'not held';
      context.say(`${significant(ratePerSecond)} msg/s: p99 ${significant(p99Ms)} ms, ${verdict}`);
      return { held, measurement };
    }, context.signal);
    const nothing = context.signal.aborted
      ? 'it was ended before a rate was held'
      : 'no rate was held: give a longer --max-p99';
    context.say(
      found.best === undefined
        ? nothing
        : `the highest rate that was held: ${significant(found.ratePerSecond)} msg/s`,
      ...(found.best === undefined ? [] : latencyLines(found.best)),
    );
    const { probes, ratePerSecond } = found;
    const cells = this.#cells(found.best === undefined ? [] : [found.best]);
    return { cells, maxRate: { ratePerSecond, maxP99Ms, probes } };
  }
}
