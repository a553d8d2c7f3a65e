import type { Anomaly } from './anomaly.js';
import type { Outage } from './history.js';
import { nameOf, type PartitionFacts, type Placeless, type Sighting } from './partition-facts.js';
import { anomalyIn } from './rules.js';

/** What may be gone, and what not. */
export interface LossFindings {
  readonly anomalies: readonly Anomaly[];
  /** Messages that a power cut took, as it may: not synced, from the end of the log. */
  readonly excused: number;
}

/**
 * What was acknowledged, or seen by a consumer, is in the final log; unless retention removed it, or a power
 * cut took it from the end of the log and nothing but acks 1 (or no ack at all) spoke for it.
 */
export function checkLoss(facts: PartitionFacts): LossFindings {
  const found = anomalyIn(facts);
  const { byOffset, finalOffsets, log } = facts;
  const cuts = powerCuts(facts);
  const anomalies: Anomaly[] = [];
  let excused = 0;
  for (const sighting of byOffset) {
    const { offset, by } = sighting;
    if (offset < log.startOffset || finalOffsets.has(offset)) continue;
    if (mayBeTaken(sighting, cuts)) {
      excused += 1;
      continue;
    }
    const gone = `offset ${offset} (${by}) is not in the log from ${log.startOffset} to `;
    const why = cuts.length === 0 ? '' : ', and no power cut may have taken it';
    anomalies.push(found('lost', offset, `${nameOf(sighting)} at ${gone}${log.endOffset}${why}`));
  }
  anomalies.push(...lostWithoutPlace(facts, cuts.length > 0));
  return { anomalies, excused };
}

/** A power cut, and how far the log goes that it left. */
export interface PowerCut {
  readonly outage: Outage;
  /** The last offset that somebody knew of before, and that is there in the end. */
  readonly survived: number;
}

/** In the order of time. */
export function powerCuts({ byOffset, finalOffsets, outages }: PartitionFacts): PowerCut[] {
  return outages
    .filter(({ kind }) => kind === 'power-cut')
    .map((outage) => {
      const survivor = byOffset.findLast(
        ({ offset, knownAt }) => knownAt < outage.downAt && finalOffsets.has(offset),
      );
      return { outage, survived: survivor?.offset ?? -1 };
    });
}

/** Whether one of the power cuts may have taken a message, as one that was not synced. */
export function mayBeTaken(sighting: Sighting, cuts: readonly PowerCut[]): boolean {
  const { acknowledged, message, offset, producer } = sighting;
  if (acknowledged && producer.acks === 'all') return false;
  return cuts.some(({ outage, survived }) => message.sentAt < outage.upAt && offset > survived);
}

/** Messages stored at an offset that the broker no longer knew. */
function* lostWithoutPlace(facts: PartitionFacts, cut: boolean): Iterable<Anomaly> {
  const found = anomalyIn(facts);
  const { log, placeless, sightings } = facts;
  if (placeless.length === 0) return;
  const known = new Set(sightings.map(nameOf));
  for (const message of placeless) {
    if (known.has(nameOf(message))) continue;
    if (cut && message.producer.acks !== 'all') continue;
    const after = neighbour(message, sightings);
    // Retention may have taken it before anybody read it.
    if (after < log.startOffset) continue;
    yield found('lost', after, `${nameOf(message)} was acknowledged, and is nowhere`);
  }
}

/** The offset of the last message that its producer had stored in the partition before. */
function neighbour({ producer, sequence }: Placeless, sightings: readonly Sighting[]): number {
  let best = -1;
  let offset = 0;
  for (const sighting of sightings) {
    if (sighting.producer !== producer || sighting.sequence > sequence) continue;
    if (sighting.sequence <= best) continue;
    best = sighting.sequence;
    ({ offset } = sighting);
  }
  return offset;
}
