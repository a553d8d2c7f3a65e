import type { Anomaly, AnomalyKind } from './anomaly.js';
import type { ProducerHistory, ReadRecord } from './history.js';
import { mayBeTaken, powerCuts } from './loss.js';
import { nameOf, type PartitionFacts, type Sighting } from './partition-facts.js';

/** A rule of what a log may be like: it yields what breaks it. */
export type Rule = (facts: PartitionFacts) => Iterable<Anomaly>;

/** What was read must be what a producer sent, to this partition. */
export function* checkContent(
  facts: PartitionFacts,
  producers: ReadonlyMap<string, ProducerHistory>,
): Iterable<Anomaly> {
  const found = anomalyIn(facts);
  const check = (record: ReadRecord, reader: string): Anomaly | undefined => {
    const { offset, producer, sequence, problem } = record;
    const got = `${reader} got at offset ${offset}`;
    if (problem !== undefined) return found('corrupt', offset, `${got}: ${problem}`);
    const message = producers.get(producer)?.sent[sequence];
    if (message === undefined) {
      return found('never-sent', offset, `${got} what nobody sent: ${producer} #${sequence}`);
    }
    if (message.partition === facts.partition) return undefined;
    const where = `${producer} #${sequence}, which was sent to ${message.partition}`;
    return found('corrupt', offset, `${got} ${where}`);
  };
  for (const { reader, records } of [
    ...facts.readings,
    { reader: 'the log', records: facts.log.records },
  ]) {
    for (const record of records) {
      const anomaly = check(record, reader);
      if (anomaly !== undefined) yield anomaly;
    }
  }
}

/** An offset means one message, for ever. */
export const checkOffsets: Rule = function* (facts) {
  const found = anomalyIn(facts);
  const first = new Map(facts.byOffset.map((sighting) => [sighting.offset, sighting]));
  for (const sighting of facts.sightings) {
    const { offset, by } = sighting;
    const other = first.get(offset);
    if (other === undefined || isSameMessage(other, sighting)) continue;
    const away = facts.outages.some(
      ({ downAt }) => other.message.sentAt < downAt !== sighting.message.sentAt < downAt,
    );
    yield found(
      away ? 'reused' : 'two-contents',
      offset,
      `offset ${offset} is ${nameOf(other)} (${other.by}) and ${nameOf(sighting)} (${by})`,
    );
  }
};

/** What was sent after the broker was away lies behind what anybody knew before. */
export const checkRestarts: Rule = function* (facts) {
  const found = anomalyIn(facts);
  for (const { kind, downAt, upAt } of facts.outages) {
    let highest: Sighting | undefined;
    for (const sighting of facts.byOffset) if (sighting.knownAt < downAt) highest = sighting;
    if (highest === undefined) continue;
    for (const sighting of facts.byOffset) {
      if (sighting.offset >= highest.offset) break;
      if (sighting.message.sentAt <= upAt) continue;
      yield found(
        'reused',
        sighting.offset,
        `${nameOf(sighting)}, sent after a ${kind}, got offset ${sighting.offset}, though ` +
          `${highest.offset} was there before it (${highest.by})`,
      );
    }
  }
};

/** A producer that is idempotent has each message once, and in its order. */
export const checkProducers: Rule = function* (facts) {
  const found = anomalyIn(facts);
  const { finalOffsets } = facts;
  const cuts = powerCuts(facts);
  const last = new Map<ProducerHistory, Sighting>();
  const places = new Map<ProducerHistory, Map<number, Sighting>>();
  for (const sighting of [...facts.sightings].sort((a, b) => a.offset - b.offset)) {
    const { producer, sequence, offset } = sighting;
    if (!producer.idempotent) continue;
    // What a power cut took from under a reader is sent again, and stored elsewhere.
    if (!finalOffsets.has(offset) && mayBeTaken(sighting, cuts)) continue;
    let ofProducer = places.get(producer);
    if (ofProducer === undefined) {
      ofProducer = new Map<number, Sighting>();
      places.set(producer, ofProducer);
    }
    const other = ofProducer.get(sequence);
    if (other !== undefined) {
      const where = `${other.offset} (${other.by}) and ${offset} (${sighting.by})`;
      yield found('duplicated', offset, `${nameOf(sighting)} is at offsets ${where}`);
      continue;
    }
    ofProducer.set(sequence, sighting);
    const before = last.get(producer);
    if (before !== undefined && before.sequence > sequence) {
      const after = `${nameOf(before)} at ${before.offset}`;
      yield found('reordered', offset, `${nameOf(sighting)} at ${offset} comes after ${after}`);
    } else {
      last.set(producer, sighting);
    }
  }
};

/** Makes anomalies of one partition. */
export function anomalyIn({ partition }: Pick<PartitionFacts, 'partition'>) {
  return (kind: AnomalyKind, offset: number, text: string): Anomaly => ({
    ...{ kind, partition, offset },
    text: `${partition}: ${text}`,
  });
}

function isSameMessage(one: Sighting, other: Sighting): boolean {
  return one.producer === other.producer && one.sequence === other.sequence;
}
