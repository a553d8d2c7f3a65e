import type { GroupHistory, StoredStep, Tenure } from './group-history.js';

/** What a check found. */
export interface GroupFindings {
  /** Each names the anomaly, the partition and the members; empty for a history as promised. */
  readonly anomalies: readonly string[];
  /** Messages that were delivered more than once, each time beyond the first counted. */
  readonly duplicates: number;
  readonly delivered: number;
}

/** Anomalies told of at most: a broken run has thousands, and the first say it all. */
const MAX_ANOMALIES = 20;

/**
 * Checks what a consumer group promises against what happened: every message is delivered, and
 * again only from the last commit of a member that died or was thrown out on; each owner begins
 * at the last commit; no commit goes backwards; no partition has two owners.
 */
export function checkGroup(history: GroupHistory): GroupFindings {
  const anomalies = [
    ...storedOwners(history),
    ...commits(history),
    ...history.tenures.flatMap((tenure) => within(tenure)),
    ...starts(history),
    ...generationsOfDeliveries(history),
  ];
  let duplicates = 0;
  let delivered = 0;
  for (const [partition, end] of history.endOffsets.entries()) {
    const tenures = history.tenures
      .filter((tenure) => tenure.partition === partition)
      .sort((a, b) => a.generation - b.generation || a.assignedAtMs - b.assignedAtMs);
    const count = tenures.reduce((sum, tenure) => sum + countOf(tenure), 0);
    const missing = gaps(tenures, end);
    anomalies.push(
      ...missing.map(
        ({ first, last }) => `never delivered: partition ${partition}, ${first} to ${last}`,
      ),
      ...overlaps(tenures),
    );
    const lost = missing.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    duplicates += count - (end - lost);
    delivered += count;
  }
  return { anomalies: anomalies.slice(0, MAX_ANOMALIES), duplicates, delivered };
}

function storedOwners({ stored }: GroupHistory): string[] {
  const found: string[] = [];
  for (const step of stored) {
    if (step.type !== 'generation') continue;
    const owners = new Map<number, string>();
    for (const [member, partitions] of step.owned) {
      for (const partition of partitions) {
        const other = owners.get(partition);
        owners.set(partition, member);
        if (other === undefined) continue;
        found.push(
          `two owners: generation ${step.generation} gives partition ${partition} to ${other} ` +
            `and ${member}`,
        );
      }
    }
  }
  return found;
}

function commits({ stored, endOffsets }: GroupHistory): string[] {
  const found: string[] = [];
  const last = new Map<number, number>();
  for (const step of stored) {
    if (step.type !== 'commit') continue;
    const { partition, offset } = step;
    const before = last.get(partition) ?? 0;
    last.set(partition, offset);
    if (offset < before) {
      found.push(`commit went backwards: partition ${partition}, from ${before} to ${offset}`);
    }
  }
  for (const [partition, end] of endOffsets.entries()) {
    const offset = last.get(partition) ?? 0;
    if (offset === end) continue;
    found.push(`last commit is not the end: partition ${partition}, ${offset} instead of ${end}`);
  }
  return found;
}

/** A member gets a partition's messages one after the other, from where it began. */
function within(tenure: Tenure): string[] {
  const found: string[] = [];
  let next = tenure.startOffset;
  for (const { first, last } of tenure.delivered) {
    if (first !== next) {
      found.push(`out of order: ${nameOf(tenure)} got ${first} when ${next} was next`);
    }
    next = last + 1;
  }
  return found;
}

/**
 * Who gets a partition goes on at the last commit before: not behind it, unless that is where it gave it up
 * itself, and not before it. A member that was stopped in between asks late, and goes on at a later one; it
 * commits nothing.
 */
function starts({ stored, tenures }: GroupHistory): string[] {
  const atGeneration = committedByGeneration(stored);
  return tenures.flatMap((tenure) => {
    const committed = atGeneration.get(tenure.generation);
    if (committed === undefined) return [`generation never stored: ${nameOf(tenure)}`];
    const expected = committed.get(tenure.partition) ?? 0;
    if (tenure.startOffset > expected && !tenure.broken && !isGivenBack(tenure, tenures)) {
      return [`skipped: ${nameOf(tenure)} began at ${tenure.startOffset}, committed: ${expected}`];
    }
    if (tenure.startOffset < expected) {
      return [`began too early: ${nameOf(tenure)} at ${tenure.startOffset}, not ${expected}`];
    }
    return [];
  });
}

/**
 * A member that takes its time to give a partition up may get it back in the round that goes on meanwhile. Then
 * it commits what it has handled when that round is over, and goes on there.
 */
function isGivenBack(tenure: Tenure, tenures: readonly Tenure[]): boolean {
  return tenures.some(
    (before) =>
      before.member === tenure.member &&
      before.partition === tenure.partition &&
      before.endedAtMs !== undefined &&
      before.endedAtMs <= tenure.assignedAtMs &&
      endOf(before) === tenure.startOffset,
  );
}

function committedByGeneration(
  stored: readonly StoredStep[],
): Map<number, ReadonlyMap<number, number>> {
  const committed = new Map<number, number>();
  const atGeneration = new Map<number, ReadonlyMap<number, number>>();
  for (const step of stored) {
    if (step.type === 'commit') committed.set(step.partition, step.offset);
    else atGeneration.set(step.generation, new Map(committed));
  }
  return atGeneration;
}

function generationsOfDeliveries({ tenures }: GroupHistory): string[] {
  const members = new Map<string, string>();
  const found = new Set<string>();
  for (const { delivered, member, partition } of tenures) {
    for (const { generation } of delivered) {
      const key = `partition ${partition} in generation ${generation}`;
      const other = members.get(key) ?? member;
      members.set(key, member);
      if (other !== member) found.add(`two readers: ${key}, ${other} and ${member}`);
    }
  }
  return [...found];
}

/** @param tenures of one partition, in the order of their generations */
function overlaps(tenures: readonly Tenure[]): string[] {
  const found: string[] = [];
  for (const [index, later] of tenures.entries()) {
    for (const earlier of tenures.slice(0, index)) {
      if (earlier.broken) continue;
      if ((earlier.endedAtMs ?? Infinity) > later.assignedAtMs) {
        found.push(`owned together: ${nameOf(earlier)} had not ended when ${nameOf(later)} began`);
      }
      const first = Math.max(earlier.startOffset, later.startOffset);
      const last = Math.min(endOf(earlier), endOf(later)) - 1;
      if (last < first) continue;
      found.push(
        `delivered again though nobody died: ${first} to ${last}, to ${nameOf(earlier)} and then ` +
          `to ${nameOf(later)}`,
      );
    }
  }
  return found;
}

function gaps(tenures: readonly Tenure[], end: number): { first: number; last: number }[] {
  const runs = tenures
    .flatMap(({ delivered }) => delivered)
    .sort((a, b) => a.first - b.first || a.last - b.last);
  const found: { first: number; last: number }[] = [];
  let next = 0;
  for (const { first, last } of runs) {
    if (first > next) found.push({ first: next, last: first - 1 });
    next = Math.max(next, last + 1);
  }
  if (next < end) found.push({ first: next, last: end - 1 });
  return found;
}

function countOf({ delivered }: Tenure): number {
  return delivered.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

function endOf({ delivered, startOffset }: Tenure): number {
  return (delivered.at(-1)?.last ?? startOffset - 1) + 1;
}

function nameOf({ member, partition, generation }: Tenure): string {
  return `partition ${partition} of ${member} (generation ${generation})`;
}
