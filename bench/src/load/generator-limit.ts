import { cpus } from 'node:os';

/** From here on an event loop has no time to spare. */
const SATURATED = 0.93;
/** An open loop that sends less than this of its rate has fallen behind. */
const KEPT_UP = 0.99;
/** Cores that are idle for less than this share of the time are all busy. */
const IDLE_SHARE = 0.05;

/** What is known of a phase when it is asked who was the limit. */
export interface GeneratorLoad {
  /** Share of the time that each worker's event loop was busy. */
  readonly workers: readonly { readonly name: string; readonly busy: number }[];
  /** Undefined for a closed loop. */
  readonly openLoop: { readonly rate: number; readonly achieved: number } | undefined;
  /** Share of the machine's CPU time that was idle. */
  readonly idle: number;
}

/**
 * Says in one sentence when the generator, or the machine that it shares with the broker, was the
 * limit; undefined when it was neither.
 */
export function generatorLimit({ workers, openLoop, idle }: GeneratorLoad): string | undefined {
  const busiest = workers.reduce((a, b) => (b.busy > a.busy ? b : a), { name: '', busy: 0 });
  const percent = `${(busiest.busy * 100).toFixed(0)} %`;
  if (openLoop !== undefined) {
    const behind = openLoop.achieved < openLoop.rate * KEPT_UP;
    if (!behind) return undefined;
    const { achieved, rate } = openLoop;
    return (
      `only ${Math.round(achieved).toLocaleString('en-US')} of ${rate.toLocaleString('en-US')} ` +
      `messages/s were sent: the broker or the generator did not keep up` +
      (idle < IDLE_SHARE ? ', and all cores were busy' : '')
    );
  }
  if (busiest.busy >= SATURATED) {
    return (
      `${busiest.name} was busy ${percent} of the time: the generator is the limit, not the ` +
      'broker; give it more --producers or --consumers'
    );
  }
  if (idle < IDLE_SHARE) {
    return (
      `all ${cpus().length} cores were busy: generator and broker share them, so this is what the ` +
      'machine does, not what the broker could'
    );
  }
  return undefined;
}

/** Watches how much of the machine's CPU time is idle, from the call on. */
export function watchIdle(): () => number {
  const before = cpuTimes();
  return () => {
    const after = cpuTimes();
    const total = after.total - before.total;
    return total <= 0 ? 1 : (after.idle - before.idle) / total;
  };
}

function cpuTimes(): { idle: number; total: number } {
  let idle = 0;
  let total = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.user + times.nice + times.sys + times.irq + times.idle;
  }
  return { idle, total };
}
