import type { Measurement } from '../results/schema.js';

/** Where the search begins, in messages a second. */
const FIRST_RATE = 1_000;
/** It ends when what is held and what is not are this close. */
const CLOSE_ENOUGH = 1.05;
/** More than any broker does: a search that comes here has not measured. */
const HIGHEST_RATE = 100_000_000;
const MAX_PROBES = 30;

export interface Probe {
  /** Whether the broker kept up with the rate, within the latency that is allowed. */
  readonly held: boolean;
  readonly measurement: Measurement;
}

export interface MaxRate {
  /** 0: not even the lowest was held. */
  readonly ratePerSecond: number;
  readonly best: Measurement | undefined;
  readonly probes: number;
}

/**
 * The highest rate that is held: doubled until one is not, then halved in between.
 *
 * @param probe resolves to undefined when it was ended early.
 * @param signal ends the search with what was found by then.
 */
export async function findMaxRate(
  probe: (ratePerSecond: number) => Promise<Probe | undefined>,
  signal: AbortSignal,
): Promise<MaxRate> {
  const ended = (): boolean => signal.aborted; // it changes while a probe runs
  let held = 0;
  let failed = Infinity;
  let best: Measurement | undefined;
  let probes = 0;
  let rate = FIRST_RATE;
  while (!ended() && probes < MAX_PROBES && rate >= 1 && rate <= HIGHEST_RATE) {
    probes += 1;
    const result = await probe(rate);
    if (result === undefined || ended()) break;
    if (result.held) {
      held = rate;
      best = result.measurement;
    } else failed = rate;
    if (failed === Infinity) rate = held * 2;
    else if (held === 0) rate = Math.floor(failed / 4);
    else if (failed / held <= CLOSE_ENOUGH) break;
    else rate = Math.round(Math.sqrt(held * failed));
  }
  return { ratePerSecond: held, best, probes };
}
