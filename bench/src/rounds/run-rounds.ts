import type { RunContext } from '../cli/run-command.js';
import { storedBytes } from '../cli/data-dir.js';
import { measureLoad, withConnection } from '../cli/measured-load.js';
import { checkConsumers } from '../load/spec.js';
import type { LoadLimit, LoadSpec } from '../load/spec.js';
import type { Cell, Measurement, PhaseName } from '../results/schema.js';
import type { Contender, LoopContender, OpenContender, PhaseAt } from './contender.js';
import { MAX_WARM_BYTES, warmMemory } from './warm-memory.js';

/** One phase of a round; the same for every contender. */
export type RoundPhase = LoadPhase | OwnPhase;

/** A phase that is measured in a way of its own. */
export interface OwnPhase {
  readonly phase: PhaseName;
  /** @param signal ends it early. @returns undefined when there is nothing to tell then. */
  run(at: PhaseAt, signal: AbortSignal): Promise<Measurement | undefined>;
}

/** A phase by the load's own producers and consumers. */
export interface LoadPhase {
  readonly phase: PhaseName;
  /** What differs from the load as a whole. */
  readonly spec: Partial<LoadSpec>;
  readonly warmup: LoadLimit | undefined;
  readonly limit: LoadLimit;
}

export interface RoundsPlan {
  readonly contenders: readonly (Contender | LoopContender)[];
  readonly rounds: number;
  readonly phases: readonly RoundPhase[];
  readonly spec: LoadSpec;
}

/**
 * Every contender in every round, one at a time. Rounds begin with another one each, so that what a
 * machine's drift does to the first and the last of a round cancels. The first round of all is run
 * once more before, uncounted; and before appends are measured of a contender that was started here, memory is had
 * ({@link warmMemory}): the first touch of a virtual machine's is dear.
 */
export async function runRounds(plan: RoundsPlan, context: RunContext): Promise<readonly Cell[]> {
  const { contenders, rounds } = plan;
  const measured = contenders.map((): Measurement[][] => []);
  const cells = (): Cell[] =>
    contenders.map((contender, index) => ({
      ...{ name: contender.name, about: contender.about, rounds: measured[index] ?? [] },
      ...('run' in contender && { reference: true }),
    }));
  const [first] = contenders;
  if (first !== undefined && rounds > 1) {
    await runOne(plan, { ...first, name: `${first.name}, not counted` }, 'round 0', context);
  }
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      if (context.signal.aborted) return cells();
      const index = (turn + round) % contenders.length;
      const contender = contenders[index];
      if (contender === undefined) continue;
      const label = `round ${round + 1}/${rounds}`;
      measured[index]?.push(await runOne(plan, contender, label, context));
    }
  }
  return cells();
}

/** A contender through all phases of a round; fewer when it is interrupted. */
async function runOne(
  plan: RoundsPlan,
  contender: Contender | LoopContender,
  label: string,
  context: RunContext,
): Promise<Measurement[]> {
  if ('run' in contender) return contender.run(context.signal);
  const measurements: Measurement[] = [];
  const opened = await contender.open();
  let at: Pick<OpenContender, 'target' | 'httpAddress'> = opened;
  const topic = `bench-${process.pid}-${Date.now().toString(36)}`;
  try {
    const partitions = await withConnection(at.target, (connection) =>
      connection.ensureTopic(topic, plan.spec.partitions),
    );
    checkConsumers(plan.spec, partitions, topic);
    for (const roundPhase of plan.phases) {
      if (context.signal.aborted) break;
      const { phase } = roundPhase;
      if ('run' in roundPhase) {
        const own = await roundPhase.run({ ...at, topic }, context.signal);
        if (own !== undefined) measurements.push(own);
        continue;
      }
      const { limit, spec, warmup } = roundPhase;
      let cold: Measurement['cold'];
      if (phase === 'consume-cold') {
        if (opened.makeCold === undefined) continue;
        const { residentBytes, totalBytes, ...address } = await opened.makeCold();
        cold = { residentBytes, totalBytes };
        at = address;
      }
      const whole: LoadSpec = {
        ...{ ...plan.spec, ...contender.spec, ...spec },
        ...{ topic, target: at.target },
      };
      const measurement = await measureLoad(
        { phase, spec: whole, partitions, warmup, limit },
        `${label} ${contender.name}: ${phase}`,
        context.signal,
        at.httpAddress,
        async () => {
          if (opened.storedIn === undefined || phase !== 'produce') return;
          const bytes = storedBytes(whole, limit) ?? MAX_WARM_BYTES;
          await warmMemory(opened.storedIn, bytes, context.signal);
        },
      );
      if (measurement === undefined) break;
      measurements.push(cold === undefined ? measurement : { ...measurement, cold });
    }
  } finally {
    // A broker that goes on running is left as it was found, also after a failure.
    if (opened.makeCold === undefined) {
      await withConnection(at.target, (its) => its.deleteTopic(topic)).catch(() => undefined);
    }
    await opened.close();
  }
  return measurements;
}
