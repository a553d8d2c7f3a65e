import type { AnomalyKind } from './anomaly.js';
import type { MutableHistory, Pick } from './model-log.js';

type MutableLog = MutableHistory['logs'][number];
/** A record that can be falsified. */
export type MutableRecord = MutableLog['records'][number];

/** A way to falsify a history. */
export interface Mutant {
  /** What the checker must find. */
  readonly kind: AnomalyKind;
  readonly what: string;
  /** Whether the history may have power cuts, which excuse losses. */
  readonly powerCuts: boolean;
  /** @returns false when the history has no place for it */
  readonly apply: (history: MutableHistory, pick: Pick) => boolean;
}

/** One of them at random. */
export function oneOf<T>(list: readonly T[], pick: Pick): T | undefined {
  return list[pick(list.length)];
}

/** Takes the entry out. */
export function without<T>(list: T[], entry: T): void {
  list.splice(list.indexOf(entry), 1);
}

/** A log and one of its records, with what its producer knows of it. */
export function place(
  history: MutableHistory,
  pick: Pick,
  wanted: (record: MutableRecord) => boolean,
) {
  const log = oneOf(history.logs, pick);
  const record = oneOf(log?.records.filter(wanted) ?? [], pick);
  return log === undefined || record === undefined ? undefined : { log, record };
}

/** A record as its producer knows it. */
export function messageOf(history: MutableHistory, { producer, sequence }: MutableRecord) {
  const found = history.producers.find(({ name }) => name === producer);
  const message = found?.sent[sequence];
  return found === undefined || message === undefined ? undefined : { producer: found, message };
}

/** Acknowledged, at an offset that was told. */
export function isAcknowledged(history: MutableHistory, record: MutableRecord): boolean {
  return (messageOf(history, record)?.message.offset ?? -1) >= 0;
}

export function isIdempotent(history: MutableHistory, record: MutableRecord): boolean {
  return messageOf(history, record)?.producer.idempotent === true;
}

/** Readings with at least `count` records. */
export function readingOf(history: MutableHistory, pick: Pick, count: number) {
  return oneOf(
    history.readings.filter(({ records }) => records.length >= count),
    pick,
  );
}

/** A message more, of which its producer knows nothing. */
export function newMessage(history: MutableHistory, partition: string, sentAt: number) {
  const producer = { name: 'mutant', acks: 1 as const, idempotent: true };
  const message = { partition, sentAt, outcome: 'unknown' as const, acknowledgedAt: Infinity };
  history.producers.push({ ...producer, sent: [{ ...message, offset: -1 }] });
  return { producer: 'mutant', sequence: 0 };
}

/** What is at the one offset and what is at the other change places, for everybody. */
export function swap(history: MutableHistory, partition: string, one: number, other: number): void {
  const to = (offset: number): number => (offset === one ? other : offset === other ? one : offset);
  for (const { records } of [...history.readings, ...history.logs].filter(
    (pass) => pass.partition === partition,
  )) {
    for (const record of records) record.offset = to(record.offset);
    records.sort((a, b) => a.offset - b.offset);
  }
  for (const { sent } of history.producers) {
    for (const message of sent) {
      if (message.partition === partition) message.offset = to(message.offset);
    }
  }
}
