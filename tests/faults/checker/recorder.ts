import type {
  Commit,
  FinalLog,
  History,
  Outage,
  OutageKind,
  ProducerHistory,
  PromisedAcks,
  ReadRecord,
  Reading,
  SentMessage,
} from './history.js';

/** A field of a history that is still being written. */
type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** The same clock in every process of this machine, in Unix ms with fractions. */
export function momentMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Writes down a history while it happens. */
export class HistoryRecorder implements History {
  readonly producers: ProducerHistory[] = [];
  readonly readings: Reading[] = [];
  readonly commits: Commit[] = [];
  readonly outages: Outage[] = [];
  readonly logs: FinalLog[] = [];

  producer(name: string, acks: PromisedAcks, idempotent = acks !== 0): ProducerRecorder {
    const recorder = new ProducerRecorder(name, acks, idempotent);
    this.producers.push(recorder);
    return recorder;
  }

  /** @returns where the records go, in the order in which they come */
  reading(reading: Omit<Reading, 'records' | 'beganAt'>): ReadRecord[] {
    const records: ReadRecord[] = [];
    this.readings.push({ ...reading, beganAt: momentMs(), records });
    return records;
  }

  committed(commit: Omit<Commit, 'acknowledgedAt'>): void {
    this.commits.push({ ...commit, acknowledgedAt: momentMs() });
  }

  /**
   * To be called just before the harm is done.
   *
   * @returns to be called when the broker is ready again
   */
  outage(kind: OutageKind): () => void {
    const outage: Writable<Outage> = { kind, downAt: momentMs(), upAt: Infinity };
    this.outages.push(outage);
    return () => void (outage.upAt = momentMs());
  }

  log(log: FinalLog): void {
    this.logs.push(log);
  }

  /** Takes in what another process has written. */
  merge(part: History): void {
    for (const producer of part.producers) this.producers.push(producer);
    for (const reading of part.readings) this.readings.push(reading);
    for (const commit of part.commits) this.commits.push(commit);
    for (const outage of part.outages) this.outages.push(outage);
    for (const log of part.logs) this.logs.push(log);
    this.outages.sort((a, b) => a.downAt - b.downAt);
  }
}

/** What one producer sends and is told. */
export class ProducerRecorder implements ProducerHistory {
  readonly sent: Writable<SentMessage>[] = [];

  constructor(
    readonly name: string,
    readonly acks: PromisedAcks,
    readonly idempotent: boolean,
  ) {}

  /** To be called before it is sent. @returns its sequence */
  send(partition: string): number {
    const message = { outcome: 'unknown', acknowledgedAt: Infinity, offset: -1 } as const;
    return this.sent.push({ partition, sentAt: momentMs(), ...message }) - 1;
  }

  acknowledged(sequence: number, offset: number): void {
    const message = this.sent[sequence];
    if (message === undefined) throw new Error(`${this.name} has not sent ${sequence}`);
    message.outcome = 'acknowledged';
    message.acknowledgedAt = momentMs();
    message.offset = offset;
  }
}
