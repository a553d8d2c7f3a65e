import type {
  FinalLog,
  History,
  Outage,
  ProducerHistory,
  ReadRecord,
  Reading,
  SentMessage,
} from './history.js';

/** That a message was at an offset, as somebody learned it. */
export interface Sighting {
  readonly offset: number;
  readonly producer: ProducerHistory;
  readonly sequence: number;
  readonly message: SentMessage;
  readonly knownAt: number;
  /** For messages of anomalies. */
  readonly by: string;
  /** Whether its producer was told so. */
  readonly acknowledged: boolean;
}

/** Everything that is known of one partition, put in order. */
export interface PartitionFacts {
  readonly partition: string;
  readonly readings: readonly Reading[];
  readonly log: FinalLog;
  /** What somebody saw or was acknowledged, once each; the first who knew is named. */
  readonly sightings: readonly Sighting[];
  /** Sorted by offset, the first of each offset. */
  readonly byOffset: readonly Sighting[];
  /** What the final log holds. */
  readonly finalOffsets: ReadonlySet<number>;
  /** Acknowledged somewhere that was not said. */
  readonly placeless: readonly Placeless[];
  readonly outages: readonly Outage[];
}

/** A message that is acknowledged, and nobody said where it is. */
export interface Placeless {
  readonly producer: ProducerHistory;
  readonly sequence: number;
  readonly message: SentMessage;
}

/** Puts together what is known of each partition that the history has the final log of. */
export function factsOf(history: History): PartitionFacts[] {
  const producers = new Map(history.producers.map((producer) => [producer.name, producer]));
  const acknowledged = acknowledgements(history.producers);
  return history.logs.map((log) => {
    const { partition } = log;
    const readings = history.readings.filter((reading) => reading.partition === partition);
    const acks = acknowledged.get(partition) ?? [];
    const sightings = acks.filter(({ offset }) => offset >= 0);
    const placeless = acks.filter(({ offset }) => offset < 0);
    for (const { reader, records } of [...readings, { reader: 'the log', records: log.records }]) {
      for (const record of records) {
        const sighting = sightingOf(producers, record, reader);
        if (sighting !== undefined) sightings.push(sighting);
      }
    }
    const first = distinct(sightings);
    return {
      ...{ partition, readings, log, placeless, sightings: first, outages: history.outages },
      byOffset: firstOfEach(first),
      finalOffsets: new Set(log.records.map(({ offset }) => offset)),
    };
  });
}

function acknowledgements(producers: readonly ProducerHistory[]): Map<string, Sighting[]> {
  const found = new Map<string, Sighting[]>();
  for (const producer of producers) {
    for (const [sequence, message] of producer.sent.entries()) {
      if (message.outcome !== 'acknowledged' || producer.acks === 0) continue;
      const { partition, offset, acknowledgedAt: knownAt } = message;
      const by = `the acknowledgement to ${producer.name}`;
      const sighting = { offset, producer, sequence, message, knownAt, by, acknowledged: true };
      const ofPartition = found.get(partition);
      if (ofPartition === undefined) found.set(partition, [sighting]);
      else ofPartition.push(sighting);
    }
  }
  return found;
}

/** Undefined for what no producer has sent. */
function sightingOf(
  producers: ReadonlyMap<string, ProducerHistory>,
  { offset, producer: name, sequence, readAt: knownAt }: ReadRecord,
  by: string,
): Sighting | undefined {
  const producer = producers.get(name);
  const message = producer?.sent[sequence];
  if (producer === undefined || message === undefined) return undefined;
  return { offset, producer, sequence, message, knownAt, by, acknowledged: false };
}

/** One for each message and offset, with the earliest moment at which somebody knew. */
function distinct(sightings: readonly Sighting[]): Sighting[] {
  const found = new Map<ProducerHistory, Map<number, Sighting[]>>();
  const sorted = [...sightings].sort((a, b) => a.knownAt - b.knownAt);
  for (const sighting of sorted) {
    let ofProducer = found.get(sighting.producer);
    if (ofProducer === undefined) {
      ofProducer = new Map<number, Sighting[]>();
      found.set(sighting.producer, ofProducer);
    }
    const places = ofProducer.get(sighting.sequence);
    if (places === undefined) {
      ofProducer.set(sighting.sequence, [sighting]);
      continue;
    }
    const known = places.findIndex(({ offset }) => offset === sighting.offset);
    const first = places[known];
    if (first === undefined) places.push(sighting);
    else if (sighting.acknowledged) places[known] = { ...first, acknowledged: true };
  }
  return [...found.values()].flatMap((ofProducer) => [...ofProducer.values()].flat());
}

function firstOfEach(sightings: readonly Sighting[]): Sighting[] {
  const found = new Map<number, Sighting>();
  for (const sighting of sightings) {
    const other = found.get(sighting.offset);
    if (other === undefined || sighting.knownAt < other.knownAt) {
      found.set(sighting.offset, sighting);
    }
  }
  return [...found.values()].sort((a, b) => a.offset - b.offset);
}

/** What to call a message in the text of an anomaly. */
export function nameOf({ producer, sequence }: Pick<Sighting, 'producer' | 'sequence'>): string {
  return `${producer.name} #${sequence}`;
}
