import { mergeLatencies } from '../load/latency.js';
import type { LatencySummary } from '../load/latency.js';
import { spreadOf } from '../util/stats.js';
import type { Spread } from '../util/stats.js';
import type { BrokerCost, Cell, Flow, Measurement, PhaseName } from './schema.js';

const GIB = 2 ** 30;

/** Every phase that some cell went through, in the order in which they ran. */
export function phasesOf(cells: readonly Cell[]): readonly PhaseName[] {
  const phases = cells.flatMap(({ rounds }) =>
    rounds.flatMap((round) => round.map((m) => m.phase)),
  );
  return [...new Set(phases)];
}

/** What a cell did in a phase, by round. */
export function measurementsOf(cell: Cell, phase: PhaseName): readonly Measurement[] {
  return cell.rounds.flatMap((round) => round.filter((measurement) => measurement.phase === phase));
}

/** Bytes a second, of the direction that the phase is about: of values, of batches by a reference. */
export function bytesPerSecond(measurement: Measurement): number {
  const flow = flowOf(measurement);
  return flow === undefined ? NaN : flow.bytes / flow.seconds;
}

export function messagesPerSecond(measurement: Measurement): number {
  const flow = flowOf(measurement);
  return flow === undefined ? NaN : flow.messages / flow.seconds;
}

function flowOf({ consumed, phase, produced }: Measurement): Flow | undefined {
  const out = phase === 'consume' || phase === 'consume-cold' || phase === 'reference-out';
  return out ? consumed : produced;
}

/** A figure of each round, with its spread; undefined when no round has it. */
export function spreadOver(
  measurements: readonly Measurement[],
  pick: (measurement: Measurement) => number | undefined,
): Spread | undefined {
  return spreadOf(measurements.map((measurement) => pick(measurement) ?? NaN));
}

/** A figure of what a phase cost, per GiB of record batches moved. */
export function perGib(
  pick: (cost: BrokerCost) => number,
): (measurement: Measurement) => number | undefined {
  return ({ cost }) =>
    cost === undefined || cost.bytes <= 0 ? undefined : (pick(cost) * GIB) / cost.bytes;
}

/** The latencies of all rounds as one. */
export function mergedLatency(
  measurements: readonly Measurement[],
  kind: keyof Measurement['latencies'],
): LatencySummary | undefined {
  const encoded = measurements.map(({ latencies }) => latencies[kind]?.hdr);
  return mergeLatencies(encoded.filter((text) => text !== undefined));
}
