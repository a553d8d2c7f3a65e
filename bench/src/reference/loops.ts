import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory, removeDirectory } from '../cli/data-dir.js';
import type { BrokerCost, Measurement } from '../results/schema.js';
import type { LoopContender } from '../rounds/contender.js';
import { fetchFrames, produceFrames } from './frames.js';
import { LoopProcess } from './loop-process.js';
import {
  APPEND_DEPTH,
  appendedFlow,
  drive,
  driveAppends,
  READ_DEPTH,
  readFlow,
  regionsOf,
  warmForAppends,
} from './plan.js';
import type { ReferencePlan } from './plan.js';

/** The loops know no topics and read no headers. */
const NO_TOPIC = 'reference';

const waysIn = [
  ['write', 'receives into a buffer and appends by pwrite'],
  ['mmap', 'receives into a buffer and copies that into a mapping'],
  ['direct', 'receives into a mapping'],
] as const;
const waysOut = [
  ['sendfile', 'sends by sendfile'],
  ['mmap', 'sends from a mapping'],
  ['copy', 'reads by pread and sends'],
] as const;

/** Every way of the plain C loop, to go through the same rounds as brokers do. */
export function loopContenders(plan: ReferencePlan): readonly LoopContender[] {
  return [
    ...waysIn.map(([way, does]): LoopContender => {
      const about = `a plain C loop: ${does}, without checking anything`;
      return { name: `C in: ${way}`, about, run: (signal) => appendBy(way, plan, signal) };
    }),
    ...waysOut.map(([way, does]): LoopContender => {
      const about = `a plain C loop: ${does}, from the page cache`;
      return { name: `C out: ${way}`, about, run: (signal) => serveBy(way, plan, signal) };
    }),
  ];
}

async function appendBy(
  way: string,
  plan: ReferencePlan,
  signal: AbortSignal,
): Promise<Measurement[]> {
  const { appends, batch } = plan;
  const frames = produceFrames(NO_TOPIC, batch, APPEND_DEPTH);
  const capacity = (appends.warm + appends.count) * batch.bytes.length;
  await warmForAppends(plan, signal);
  return inDirectory(plan, async (path) => {
    const loop = new LoopProcess(plan.program, ['in', way, path, String(capacity)]);
    const moved = await withLoop(loop, (address) => driveAppends(plan, address, frames, signal));
    if (moved === undefined) return [];
    const { cost, driven } = moved;
    return [{ ...bare, phase: 'reference-in', produced: appendedFlow(plan, driven), cost }];
  });
}

async function serveBy(
  way: string,
  plan: ReferencePlan,
  signal: AbortSignal,
): Promise<Measurement[]> {
  const { batch, reads, region } = plan;
  const frames = fetchFrames(NO_TOPIC, region, 1);
  return inDirectory(plan, async (path) => {
    // As large as the log that a broker serves, and in the page cache as that is.
    const fd = openSync(path, 'w');
    const batches = (regionsOf(plan) * region.bytes) / batch.bytes.length;
    for (let i = 0; i < batches; i += 1) writeSync(fd, batch.bytes);
    closeSync(fd);
    const loop = new LoopProcess(plan.program, ['out', way, path, String(region.bytes)]);
    const moved = await withLoop(loop, (address) =>
      drive(plan, address, frames, READ_DEPTH, reads, signal),
    );
    if (moved === undefined) return [];
    const { cost, driven } = moved;
    return [{ ...bare, phase: 'reference-out', consumed: readFlow(plan, driven), cost }];
  });
}

/** What there is to say of a loop beside its flow and its cost. */
export const bare = {
  latencies: {},
  series: [],
  generator: { busiest: 0, cpuSeconds: 0 },
} as const;

async function inDirectory<Result>(
  { parent }: ReferencePlan,
  work: (file: string) => Promise<Result>,
): Promise<Result> {
  const directory = await makeDirectory(parent);
  try {
    return await work(join(directory, 'log'));
  } finally {
    removeDirectory(directory);
  }
}

/** Has the loop driven, and asks it what that cost. Undefined: it was ended early. */
async function withLoop<Driven>(
  loop: LoopProcess,
  work: (address: string) => Promise<Driven | undefined>,
): Promise<{ readonly driven: Driven; readonly cost: BrokerCost } | undefined> {
  try {
    const { port } = (await loop.next()) as { port: number };
    const driven = await work(`127.0.0.1:${port}`);
    if (driven === undefined) return undefined;
    return { driven, cost: costOf((await loop.next()) as LoopCost) };
  } finally {
    loop.kill();
    await loop.ended();
  }
}

type LoopCost = Omit<BrokerCost, 'syscalls' | 'syscallBytes' | 'crossedBytes' | 'modeSwitches'> & {
  readonly calls: Readonly<Record<string, readonly [calls: number, bytes: number]>>;
};

function costOf({ calls, ...rest }: LoopCost): BrokerCost {
  const entries = Object.entries(calls);
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  const crossing = entries.filter(([kind]) => kind !== 'sendfile');
  return {
    ...rest,
    syscalls: Object.fromEntries(entries.map(([kind, [count]]) => [kind, count])),
    syscallBytes: Object.fromEntries(entries.map(([kind, [, bytes]]) => [kind, bytes])),
    crossedBytes: sum(crossing.map(([, [, bytes]]) => bytes)),
    modeSwitches: 2 * sum(entries.map(([, [count]]) => count)),
  };
}
