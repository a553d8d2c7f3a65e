import { setTimeout as sleep } from 'node:timers/promises';
import type { Flow, Measurement, PhaseName } from '../results/schema.js';
import { generatorLimit, watchIdle } from './generator-limit.js';
import { mergeLatencies } from './latency.js';
import type { LatencySummary } from './latency.js';
import type { PhaseReport } from './phase-counts.js';
import { Series } from './series.js';
import { isOpenLoop } from './spec.js';
import type { LoadLimit, LoadSpec } from './spec.js';
import { WorkerProcess } from './worker-process.js';

/** A consumer that gets nothing for so long has got what there is. */
const QUIET_MS = 5_000;
const LOOK_EVERY_MS = 20;

/** One phase to measure. */
export interface LoadPlan {
  readonly phase: PhaseName;
  readonly spec: LoadSpec;
  /** Partitions that the topic has. */
  readonly partitions: number;
  /** What goes before and is not counted. */
  readonly warmup: LoadLimit | undefined;
  readonly limit: LoadLimit;
}

export interface LoadHooks {
  /** Ends the phase early; what was measured is still returned. */
  readonly signal: AbortSignal;
  /** Just before what is measured begins, and just after it ended. */
  readonly onMeasureBegin?: (() => Promise<void>) | undefined;
  readonly onMeasureEnd?: (() => Promise<void>) | undefined;
  /** Called with each piece of news. */
  readonly onProgress?: ((series: Series) => void) | undefined;
}

/**
 * Runs one phase with workers of its own.
 *
 * @returns undefined when it was ended before there was anything to measure.
 * @throws WorkerError when a worker cannot connect or dies; every worker is gone then.
 */
export async function runLoad(plan: LoadPlan, hooks: LoadHooks): Promise<Measurement | undefined> {
  const { partitions, phase, spec } = plan;
  const producers = phase.startsWith('consume') ? [] : startWorkers('producer', spec.producers);
  const consumers = phase === 'produce' ? [] : startWorkers('consumer', spec.consumers);
  const workers = [...producers, ...consumers];
  const stop = (): void => {
    for (const worker of workers) worker.stop();
  };
  hooks.signal.addEventListener('abort', stop);
  try {
    await Promise.all(workers.map((worker) => worker.open({ spec, partitions })));
    const { onProgress, signal } = hooks;
    const team = { producers, consumers, signal, onProgress };
    if (plan.warmup !== undefined && !signal.aborted) {
      await runPhase({ ...team, onProgress: undefined }, plan.warmup, new Series());
    }
    await hooks.onMeasureBegin?.();
    // Workers told to stop before they begin would go to the limit.
    if (signal.aborted) return undefined;
    const idle = watchIdle();
    const series = new Series();
    const reports = await runPhase(team, plan.limit, series);
    const idleShare = idle();
    await hooks.onMeasureEnd?.();
    return summarize(plan, reports, series, idleShare);
  } finally {
    hooks.signal.removeEventListener('abort', stop);
    await Promise.all(workers.map((worker) => worker.close()));
  }
}

function startWorkers(role: 'producer' | 'consumer', count: number): WorkerProcess[] {
  return Array.from({ length: count }, (_, index) => new WorkerProcess(role, index));
}

interface Team {
  readonly producers: readonly WorkerProcess[];
  readonly consumers: readonly WorkerProcess[];
  readonly signal: AbortSignal;
  readonly onProgress: LoadHooks['onProgress'];
}

function watch({ producers, consumers, onProgress }: Team, series: Series): void {
  for (const worker of [...producers, ...consumers]) {
    const shown = worker.role === (consumers.length > 0 ? 'consumer' : 'producer');
    worker.onTick = (tick) => {
      series.add(worker.role, tick, shown);
      onProgress?.(series);
    };
  }
}

interface PhaseReports {
  readonly produced: readonly PhaseReport[];
  readonly consumed: readonly PhaseReport[];
}

/** Consumers begin first; they end when they have what the producers sent, or what they were to read. */
async function runPhase(team: Team, limit: LoadLimit, series: Series): Promise<PhaseReports> {
  const { producers, consumers, signal } = team;
  watch(team, series);
  const consuming = Promise.all(consumers.map((worker) => worker.run(limit)));
  consuming.catch(() => undefined);
  const produced = await Promise.all(producers.map((worker) => worker.run(limit)));
  if (consumers.length > 0) {
    const sent = produced.reduce((sum, { messages }) => sum + messages, 0);
    const done =
      producers.length > 0
        ? (): boolean => series.totals.consumedMessages >= sent
        : limitReached(limit, series);
    await Promise.race([consuming, waitFor(done, series, signal)]);
    for (const worker of consumers) worker.stop();
  }
  return { produced, consumed: await consuming };
}

function limitReached(limit: LoadLimit, series: Series): () => boolean {
  if ('durationMs' in limit) return () => series.seconds * 1_000 >= limit.durationMs;
  if ('messages' in limit) return () => series.totals.consumedMessages >= limit.messages;
  return () => series.totals.consumedBytes >= limit.bytes;
}

/** Resolves when `done`, when nothing has come for long, or when the signal is aborted. */
async function waitFor(done: () => boolean, series: Series, signal: AbortSignal): Promise<void> {
  let seen = series.totals.consumedMessages;
  let quietSinceMs = performance.now();
  while (!done() && !signal.aborted) {
    await sleep(LOOK_EVERY_MS);
    const now = series.totals.consumedMessages;
    if (now !== seen) quietSinceMs = performance.now();
    else if (performance.now() - quietSinceMs > QUIET_MS) return;
    seen = now;
  }
}

function summarize(
  plan: LoadPlan,
  { produced, consumed }: PhaseReports,
  series: Series,
  idle: number,
): Measurement {
  const { spec } = plan;
  const into = flowOf(produced);
  const out = flowOf(consumed);
  const workers = [
    ...produced.map(({ busy }, index) => ({ name: `producer ${index}`, busy })),
    ...consumed.map(({ busy }, index) => ({ name: `consumer ${index}`, busy })),
  ];
  const all = [...produced, ...consumed];
  const openLoop =
    isOpenLoop(spec) && into !== undefined
      ? { rate: spec.ratePerSecond, achieved: into.messages / sendingSeconds(plan.limit, into) }
      : undefined;
  return {
    phase: plan.phase,
    produced: into,
    consumed: out,
    missing: into !== undefined && out !== undefined ? into.messages - out.messages : undefined,
    latencies: {
      publish: merged(all, 'publish'),
      publishDelay: isOpenLoop(spec) ? merged(all, 'publishDelay') : undefined,
      endToEnd: merged(all, 'endToEnd'),
    },
    series: series.points(),
    generator: {
      busiest: Math.max(0, ...workers.map(({ busy }) => busy)),
      cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
      limit: generatorLimit({ workers, openLoop, idle }),
    },
  };
}

/** The last acknowledgements come after the time in which the messages were to be sent. */
function sendingSeconds(limit: LoadLimit, { seconds }: Flow): number {
  return 'durationMs' in limit ? Math.min(limit.durationMs / 1_000, seconds) : seconds;
}

function merged(
  reports: readonly PhaseReport[],
  kind: keyof PhaseReport['latencies'],
): LatencySummary | undefined {
  const encoded = reports.map(({ latencies }) => latencies[kind]);
  return mergeLatencies(encoded.filter((text) => text !== undefined));
}

function flowOf(reports: readonly PhaseReport[]): Flow | undefined {
  if (reports.length === 0) return undefined;
  const sum = (pick: (report: PhaseReport) => number): number =>
    reports.reduce((total, report) => total + pick(report), 0);
  const startMs = Math.min(...reports.map((report) => report.startMs));
  const endMs = Math.max(...reports.map((report) => report.endMs));
  return {
    messages: sum(({ messages }) => messages),
    bytes: sum(({ bytes }) => bytes),
    seconds: (endMs - startMs) / 1_000,
    errors: sum(({ errors }) => errors),
    firstError: reports.find(({ firstError }) => firstError !== undefined)?.firstError,
  };
}
