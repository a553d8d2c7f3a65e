import type { FinalLog, History, ReadRecord, Reading } from './history.js';
import type { ProducerRecorder } from './recorder.js';
import { HistoryRecorder } from './recorder.js';

/** A record in the model's log. */
interface Stored {
  readonly offset: number;
  readonly producer: string;
  readonly sequence: number;
}

/** A reader of the model and how far it is. */
interface ModelReader {
  readonly name: string;
  readonly group: string | undefined;
  reading: { -readonly [Key in keyof Reading]: Reading[Key] } & { records: ReadRecord[] };
  next: number;
}

/** One partition of the model, and who reads it. */
class ModelPartition {
  records: Stored[] = [];
  startOffset = 0;
  nextOffset = 0;
  syncedOffset = 0;
  readers: ModelReader[] = [];

  constructor(readonly name: string) {}
}

/** Whole numbers from 0 to below `bound`. */
export type Pick = (bound: number) => number;

const STEPS = 200;

/**
 * A random history of a log that keeps every promise: producers with all acks, answers that get lost,
 * consumers and a group, kills, power cuts that take what is not synced, gaps, retention. Its clock
 * ticks by one with each step.
 *
 * @param powerCuts whether there are any
 */
export function cleanHistory(pick: Pick, powerCuts: boolean): HistoryRecorder {
  return new ModelLog(pick, powerCuts).run();
}

class ModelLog {
  readonly #history = new HistoryRecorder();
  readonly #partitions = [new ModelPartition('model-0'), new ModelPartition('model-1')];
  readonly #producers: ProducerRecorder[];
  #now = 1;
  #readers = 0;

  constructor(
    private readonly pick: Pick,
    private readonly powerCuts: boolean,
  ) {
    const acks = ['all', 1, 'all', 1, 0] as const;
    this.#producers = acks.map((own, index) => this.#history.producer(`p${index}`, own));
  }

  run(): HistoryRecorder {
    for (const partition of this.#partitions) {
      for (const group of [undefined, 'team']) this.#begin(partition, group, 0);
    }
    for (let step = 0; step < STEPS; step += 1) this.#step();
    for (const partition of this.#partitions) {
      for (const reader of partition.readers) this.#read(partition, reader, Infinity);
      this.#history.log(this.#finalLog(partition));
    }
    return this.#history;
  }

  #step(): void {
    this.#now += 1;
    const partition = this.#oneOf(this.#partitions);
    const dice = this.pick(100);
    if (dice < 60) this.#send(partition);
    else if (dice < 85) this.#read(partition, this.#oneOf(partition.readers), this.pick(8) + 1);
    else if (dice < 90) this.#moveGroup(partition);
    else if (dice < 92) this.#begin(partition, undefined, partition.startOffset);
    else if (dice < 94) partition.syncedOffset = partition.nextOffset;
    else if (dice < 96) this.#retain(partition);
    else if (dice < 98 || !this.powerCuts) this.#outage('kill');
    else this.#outage('power-cut');
  }

  #send(partition: ModelPartition): void {
    const producer = this.#oneOf(this.#producers);
    const message = { partition: partition.name, sentAt: this.#now } as const;
    const fate = this.pick(10);
    const sequence = producer.sent.length;
    if (fate === 0) {
      producer.sent.push({ ...message, outcome: 'unknown', acknowledgedAt: Infinity, offset: -1 });
      return;
    }
    const offset = partition.nextOffset;
    partition.nextOffset += 1;
    partition.records.push({ offset, producer: producer.name, sequence });
    this.#now += 1;
    const answered = fate > 1 && producer.acks !== 0;
    if (answered && producer.acks === 'all') partition.syncedOffset = partition.nextOffset;
    producer.sent.push({
      ...message,
      outcome: answered ? 'acknowledged' : 'unknown',
      acknowledgedAt: answered ? this.#now : Infinity,
      // A repeat that the broker no longer remembers.
      offset: answered && fate > 2 ? offset : -1,
    });
  }

  #begin(partition: ModelPartition, group: string | undefined, startOffset: number): void {
    this.#readers += 1;
    const name = `${group ?? 'reader'}${this.#readers}`;
    const reading = {
      ...{ reader: name, group, partition: partition.name, beganAt: this.#now, startOffset },
      records: [],
    };
    this.#history.readings.push(reading);
    partition.readers.push({ name, group, reading, next: startOffset });
  }

  #read(partition: ModelPartition, reader: ModelReader, count: number): void {
    const wanted = partition.records.filter(({ offset }) => offset >= reader.next).slice(0, count);
    this.#now += 1;
    for (const record of wanted) {
      reader.reading.records.push({ ...record, readAt: this.#now });
      reader.next = record.offset + 1;
    }
    if (reader.group === undefined || wanted.length === 0 || this.pick(2) === 0) return;
    // What a group commits is synced, and so is what lies before it here.
    partition.syncedOffset = Math.max(partition.syncedOffset, reader.next);
    this.#now += 1;
    const { group, next: offset } = reader;
    const commit = { group, partition: partition.name, offset, acknowledgedAt: this.#now };
    this.#history.commits.push(commit);
  }

  /** Another member goes on where the group has committed. */
  #moveGroup(partition: ModelPartition): void {
    const index = partition.readers.findIndex(({ group }) => group !== undefined);
    const group = partition.readers[index]?.group;
    if (group === undefined) return;
    const committed = this.#history.commits
      .filter((commit) => commit.partition === partition.name)
      .reduce((highest, { offset }) => Math.max(highest, offset), 0);
    if (committed < partition.startOffset) return;
    partition.readers.splice(index, 1);
    this.#begin(partition, group, committed);
  }

  #retain(partition: ModelPartition): void {
    const slowest = Math.min(...partition.readers.map(({ next }) => next));
    partition.startOffset = Math.max(partition.startOffset, slowest - this.pick(10));
    partition.syncedOffset = Math.max(partition.syncedOffset, partition.startOffset);
    partition.records = partition.records.filter(({ offset }) => offset >= partition.startOffset);
  }

  #outage(kind: 'kill' | 'power-cut'): void {
    const downAt = this.#now;
    for (const partition of this.#partitions) {
      if (kind === 'power-cut') {
        const { nextOffset, syncedOffset } = partition;
        const end = syncedOffset + this.pick(nextOffset - syncedOffset + 1);
        partition.records = partition.records.filter(({ offset }) => offset < end);
      }
      partition.nextOffset += 2 + this.pick(5);
      partition.syncedOffset = partition.nextOffset;
    }
    this.#now += 1;
    this.#history.outages.push({ kind, downAt, upAt: this.#now });
  }

  #finalLog({ name, startOffset, nextOffset, records }: ModelPartition): FinalLog {
    return {
      ...{ partition: name, startOffset, endOffset: nextOffset },
      records: records.map((record) => ({ ...record, readAt: this.#now })),
    };
  }

  #oneOf<T>(list: readonly T[]): T {
    return list[this.pick(list.length)] as T;
  }
}

/** A copy that a mutant may change. */
export function copyOf(history: History): MutableHistory {
  return structuredClone({
    ...{ readings: history.readings, commits: history.commits, outages: history.outages },
    logs: history.logs,
    producers: history.producers.map(({ name, acks, idempotent, sent }) => ({
      ...{ name, acks, idempotent, sent },
    })),
  }) as MutableHistory;
}

type Mutable<T> = T extends object ? { -readonly [Key in keyof T]: Mutable<T[Key]> } : T;

/** A history that can be falsified. */
export type MutableHistory = Mutable<History>;
