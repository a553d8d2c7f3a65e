import type { Anomaly } from './anomaly.js';
import type { Commit, Reading } from './history.js';
import { nameOf, type PartitionFacts } from './partition-facts.js';
import { anomalyIn } from './rules.js';

/**
 * At least once: a group commits only what its members got, and each of them begins no earlier than the
 * last commit that was acknowledged. What `tests/support/group-checker.ts` asks beyond that (who owned what
 * when, duplicates where nobody died) needs what the broker stored, and a broker that stays up.
 */
export function* checkGroups(facts: PartitionFacts, commits: readonly Commit[]): Iterable<Anomaly> {
  const own = commits.filter(({ partition }) => partition === facts.partition);
  const groups = new Set([...facts.readings, ...own].flatMap(({ group }) => group ?? []));
  for (const group of groups) {
    const readings = facts.readings.filter((reading) => reading.group === group);
    const committed = own.filter((commit) => commit.group === group);
    yield* checkStarts(facts, readings, committed);
    yield* checkCovered(facts, group, readings, committed);
  }
}

function* checkStarts(
  facts: PartitionFacts,
  readings: readonly Reading[],
  commits: readonly Commit[],
): Iterable<Anomaly> {
  const found = anomalyIn(facts);
  for (const { reader, beganAt, startOffset } of readings) {
    const before = commits.filter(({ acknowledgedAt }) => acknowledgedAt < beganAt);
    const committed = before.reduce((highest, { offset }) => Math.max(highest, offset), 0);
    if (startOffset >= committed) continue;
    const began = `${reader} began at ${startOffset}`;
    yield found('commit-lost', startOffset, `${began}, though ${committed} was committed before`);
  }
}

function* checkCovered(
  facts: PartitionFacts,
  group: string,
  readings: readonly Reading[],
  commits: readonly Commit[],
): Iterable<Anomaly> {
  const found = anomalyIn(facts);
  const committed = commits.reduce((highest, { offset }) => Math.max(highest, offset), 0);
  const got = new Set(readings.flatMap(({ records }) => records.map(({ offset }) => offset)));
  for (const sighting of facts.byOffset) {
    const { offset } = sighting;
    if (offset >= committed) break;
    if (got.has(offset) || !facts.finalOffsets.has(offset)) continue;
    const beyond = `${nameOf(sighting)} at ${offset}, and committed ${committed}`;
    yield found('skipped-by-group', offset, `no member of ${group} got ${beyond}`);
  }
}
