import type { LoadLimit } from '../load/spec.js';
import type { OwnPhase, RoundPhase } from './run-rounds.js';

export interface PhaseChoice {
  /** What is produced, and what is read. */
  readonly limit: LoadLimit;
  readonly warmupMs: number;
  /** Messages a second of the end-to-end phase; 0: there is none. */
  readonly rate: number;
  readonly rateDurationMs: number;
  readonly cold: boolean;
  /** What goes between the warm and the cold ones, in a way of its own. */
  readonly own: readonly OwnPhase[];
}

/** In at maximum, out warm at maximum, end to end at a rate, and out cold. */
export function roundPhases(choice: PhaseChoice): readonly RoundPhase[] {
  const { cold, limit, own, rate, rateDurationMs, warmupMs } = choice;
  const warmup = warmupMs === 0 ? undefined : { durationMs: warmupMs };
  const atMaximum = { ratePerSecond: 0, api: 'enqueue', stamped: false } as const;
  const phases: RoundPhase[] = [
    { phase: 'produce', spec: atMaximum, warmup, limit },
    {
      phase: 'consume',
      spec: { ...atMaximum, consume: { from: 'beginning', atEnd: 'rewind' } },
      warmup,
      limit,
    },
    ...own,
  ];
  if (cold) {
    phases.push({
      phase: 'consume-cold',
      spec: { ...atMaximum, consume: { from: 'beginning', atEnd: 'stop' } },
      warmup: undefined,
      // To the end of what there is, once.
      limit: { bytes: Number.MAX_SAFE_INTEGER },
    });
  }
  if (rate > 0) {
    phases.push({
      phase: 'e2e',
      spec: {
        ratePerSecond: rate,
        api: 'send',
        stamped: true,
        consume: { from: 'end', atEnd: 'wait' },
      },
      warmup,
      limit: { durationMs: rateDurationMs },
    });
  }
  return phases;
}
