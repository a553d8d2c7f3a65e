import type { Anomaly } from './anomaly.js';
import { checkGroups } from './groups.js';
import type { History } from './history.js';
import { checkLoss } from './loss.js';
import { factsOf } from './partition-facts.js';
import { checkReadings } from './readings.js';
import { checkContent, checkOffsets, checkProducers, checkRestarts } from './rules.js';

/** What a check found, and how much there was to check. */
export interface HistoryFindings {
  /** Empty for a log as promised. At most {@link MAX_ANOMALIES} of a kind. */
  readonly anomalies: readonly Anomaly[];
  readonly sent: number;
  readonly acknowledged: number;
  /** Messages of which the producer does not know; they may be stored or not. */
  readonly unknown: number;
  /** Records in the final logs. */
  readonly stored: number;
  /** Records that consumers got, the final logs not counted. */
  readonly read: number;
  /** Messages that a power cut took, as it may. */
  readonly excused: number;
}

/** A broken run has thousands, and the first of each kind say it all. */
export const MAX_ANOMALIES = 10;

/**
 * Checks what the broker promises against what happened. Only partitions whose final log is in the history
 * are checked.
 */
export function checkHistory(history: History): HistoryFindings {
  const producers = new Map(history.producers.map((producer) => [producer.name, producer]));
  const anomalies: Anomaly[] = [];
  let excused = 0;
  for (const facts of factsOf(history)) {
    const loss = checkLoss(facts);
    excused += loss.excused;
    for (const broken of [
      checkContent(facts, producers),
      checkOffsets(facts),
      checkRestarts(facts),
      checkProducers(facts),
      loss.anomalies,
      checkReadings(facts),
      checkGroups(facts, history.commits),
    ]) {
      anomalies.push(...broken);
    }
  }
  return { anomalies: firstOfEachKind(anomalies), excused, ...countsOf(history) };
}

function countsOf({ producers, readings, logs }: History) {
  const sent = producers.reduce((sum, producer) => sum + producer.sent.length, 0);
  const acknowledged = producers.reduce(
    (sum, producer) =>
      sum + producer.sent.filter(({ outcome }) => outcome === 'acknowledged').length,
    0,
  );
  const recordsOf = (passes: readonly { readonly records: readonly unknown[] }[]): number =>
    passes.reduce((sum, { records }) => sum + records.length, 0);
  const unknown = sent - acknowledged;
  return { sent, acknowledged, unknown, stored: recordsOf(logs), read: recordsOf(readings) };
}

function firstOfEachKind(anomalies: readonly Anomaly[]): Anomaly[] {
  const counts = new Map<string, number>();
  return anomalies.filter(({ kind }) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count <= MAX_ANOMALIES;
  });
}
