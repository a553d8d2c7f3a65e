import type { AnomalyKind } from './anomaly.js';
import type { MutableHistory, Pick } from './model-log.js';

type MutableLog = MutableHistory['logs'][number];
type MutableRecord = MutableLog['records'][number];

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

function oneOf<T>(list: readonly T[], pick: Pick): T | undefined {
  return list[pick(list.length)];
}

function without<T>(list: T[], entry: T): void {
  list.splice(list.indexOf(entry), 1);
}

/** A log and one of its records, with what its producer knows of it. */
function place(history: MutableHistory, pick: Pick, wanted: (record: MutableRecord) => boolean) {
  const log = oneOf(history.logs, pick);
  const record = oneOf(log?.records.filter(wanted) ?? [], pick);
  return log === undefined || record === undefined ? undefined : { log, record };
}

function messageOf(history: MutableHistory, { producer, sequence }: MutableRecord) {
  const found = history.producers.find(({ name }) => name === producer);
  const message = found?.sent[sequence];
  return found === undefined || message === undefined ? undefined : { producer: found, message };
}

/** Acknowledged, at an offset that was told. */
function isAcknowledged(history: MutableHistory, record: MutableRecord): boolean {
  return (messageOf(history, record)?.message.offset ?? -1) >= 0;
}

function isIdempotent(history: MutableHistory, record: MutableRecord): boolean {
  return messageOf(history, record)?.producer.idempotent === true;
}

/** Readings with at least `count` records. */
function readingOf(history: MutableHistory, pick: Pick, count: number) {
  return oneOf(
    history.readings.filter(({ records }) => records.length >= count),
    pick,
  );
}

/** A message more, of which its producer knows nothing. */
function newMessage(history: MutableHistory, partition: string, sentAt: number) {
  const producer = { name: 'mutant', acks: 1 as const, idempotent: true };
  const message = { partition, sentAt, outcome: 'unknown' as const, acknowledgedAt: Infinity };
  history.producers.push({ ...producer, sent: [{ ...message, offset: -1 }] });
  return { producer: 'mutant', sequence: 0 };
}

/** What is at the one offset and what is at the other change places, for everybody. */
function swap(history: MutableHistory, partition: string, one: number, other: number): void {
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

/** Every anomaly in the ways in which it can come about. */
export const mutants: readonly Mutant[] = [
  {
    kind: 'lost',
    what: 'an acknowledged message is not in the log',
    powerCuts: false,
    apply: (history, pick) => {
      const found = place(history, pick, (record) => isAcknowledged(history, record));
      if (found === undefined) return false;
      without(found.log.records, found.record);
      return true;
    },
  },
  {
    kind: 'lost',
    what: 'a message that only a consumer knew of is not in the log',
    powerCuts: false,
    apply: (history, pick) => {
      const seen = new Set(
        history.readings.flatMap(({ partition, records }) =>
          records.map(({ offset }) => `${partition} ${offset}`),
        ),
      );
      const log = oneOf(history.logs, pick);
      const record = log?.records.find(
        ({ offset, ...rest }) =>
          seen.has(`${log.partition} ${offset}`) && !isAcknowledged(history, { offset, ...rest }),
      );
      if (log === undefined || record === undefined) return false;
      without(log.records, record);
      return true;
    },
  },
  {
    kind: 'lost',
    what: 'the end of the log is gone',
    powerCuts: false,
    apply: (history, pick) => {
      const log = oneOf(history.logs, pick);
      const known = log?.records.findIndex((record) => isAcknowledged(history, record)) ?? -1;
      if (log === undefined || known < 0) return false;
      const [first] = log.records.splice(known);
      log.endOffset = first?.offset ?? 0;
      return true;
    },
  },
  {
    kind: 'lost',
    what: 'an acks=all message went with a power cut',
    powerCuts: true,
    apply: (history, pick) => {
      const isAll = (record: MutableRecord): boolean =>
        isAcknowledged(history, record) && messageOf(history, record)?.producer.acks === 'all';
      const found = place(history, pick, isAll);
      if (found === undefined) return false;
      without(found.log.records, found.record);
      return true;
    },
  },
  {
    kind: 'lost',
    what: 'an acks=1 message went with a power cut that left what lies behind it',
    powerCuts: true,
    apply: (history, pick) => {
      const cut = history.outages.find(({ kind }) => kind === 'power-cut');
      const log = oneOf(history.logs, pick);
      if (cut === undefined || log === undefined) return false;
      const before = log.records.filter(
        (record) =>
          isAcknowledged(history, record) &&
          (messageOf(history, record)?.message.acknowledgedAt ?? Infinity) < cut.downAt,
      );
      const record = oneOf(before.slice(0, -1), pick);
      if (record === undefined) return false;
      without(log.records, record);
      return true;
    },
  },
  {
    kind: 'lost',
    what: 'a message acknowledged without an offset is nowhere',
    powerCuts: false,
    apply: (history, pick) => {
      const isPlaceless = (record: MutableRecord): boolean =>
        messageOf(history, record)?.message.outcome === 'acknowledged' &&
        !isAcknowledged(history, record);
      const log = history.logs.find(({ startOffset }) => startOffset === 0);
      const record = oneOf(log?.records.filter(isPlaceless) ?? [], pick);
      if (log === undefined || record === undefined) return false;
      for (const { partition, records } of [...history.readings, log]) {
        const index = records.findIndex(({ offset }) => offset === record.offset);
        if (partition === log.partition && index >= 0) records.splice(index, 1);
      }
      return true;
    },
  },
  {
    kind: 'duplicated',
    what: 'a message is at the end once more',
    powerCuts: true,
    apply: (history, pick) => {
      const found = place(history, pick, (record) => isIdempotent(history, record));
      if (found === undefined) return false;
      const { log, record } = found;
      log.records.push({ ...record, offset: log.endOffset });
      log.endOffset += 1;
      return true;
    },
  },
  {
    kind: 'reordered',
    what: 'two messages of a producer have changed places',
    powerCuts: true,
    apply: (history, pick) => {
      const log = oneOf(history.logs, pick);
      const producer = oneOf(
        history.producers.filter(({ idempotent }) => idempotent),
        pick,
      );
      const own = log?.records.filter((record) => record.producer === producer?.name) ?? [];
      const index = pick(Math.max(own.length - 1, 1));
      const [one, other] = own.slice(index, index + 2);
      if (log === undefined || one === undefined || other === undefined) return false;
      swap(history, log.partition, one.offset, other.offset);
      return true;
    },
  },
  {
    kind: 'two-contents',
    what: 'a consumer got another message at an offset',
    powerCuts: true,
    apply: (history, pick) => {
      const found = place(history, pick, () => true);
      const sent = found && messageOf(history, found.record);
      if (found === undefined || sent === undefined) return false;
      const { partition } = found.log;
      const { offset } = found.record;
      const message = newMessage(history, partition, sent.message.sentAt);
      const record = { offset, readAt: found.record.readAt, ...message };
      const reading = { partition, beganAt: 0, startOffset: offset, records: [record] };
      history.readings.push({ reader: 'liar', ...reading });
      return true;
    },
  },
  {
    kind: 'reused',
    what: 'an offset that was seen holds a message from after an outage',
    powerCuts: true,
    apply: (history, pick) => {
      const outage = oneOf(history.outages, pick);
      const found = place(
        history,
        pick,
        (record) =>
          isAcknowledged(history, record) &&
          (messageOf(history, record)?.message.sentAt ?? Infinity) < (outage?.downAt ?? 0),
      );
      if (outage === undefined || found === undefined) return false;
      Object.assign(found.record, newMessage(history, found.log.partition, outage.upAt + 0.5));
      return true;
    },
  },
  {
    kind: 'reused',
    what: 'a message from after an outage lies below what was there before it',
    powerCuts: true,
    apply: (history, pick) => {
      const log = oneOf(history.logs, pick);
      const [outage] = history.outages;
      if (log === undefined || outage === undefined) return false;
      const record = log.records.find(
        (own) =>
          isAcknowledged(history, own) &&
          (messageOf(history, own)?.message.acknowledgedAt ?? Infinity) < outage.downAt,
      );
      if (record === undefined) return false;
      const message = newMessage(history, log.partition, outage.upAt + 0.5);
      // Before the first, so that the offset itself is nobody's.
      log.records.unshift({ ...record, ...message, offset: record.offset - 0.5 });
      return true;
    },
  },
  {
    kind: 'went-backwards',
    what: 'a consumer got a message again',
    powerCuts: true,
    apply: (history, pick) => {
      const reading = readingOf(history, pick, 1);
      if (reading === undefined) return false;
      const index = pick(reading.records.length);
      const again = reading.records[pick(index + 1)];
      if (again === undefined) return false;
      reading.records.splice(index + 1, 0, { ...again });
      return true;
    },
  },
  {
    kind: 'went-backwards',
    what: 'a consumer got two messages in the wrong order',
    powerCuts: true,
    apply: (history, pick) => {
      const reading = readingOf(history, pick, 2);
      if (reading === undefined) return false;
      const index = pick(reading.records.length - 1);
      reading.records.splice(index, 2, ...reading.records.slice(index, index + 2).reverse());
      return true;
    },
  },
  {
    kind: 'corrupt',
    what: 'content is damaged',
    powerCuts: true,
    apply: (history, pick) => {
      const record = oneOf(
        oneOf([...history.readings, ...history.logs], pick)?.records ?? [],
        pick,
      );
      if (record === undefined) return false;
      Object.assign(record, { producer: '', sequence: -1, problem: 'zeros' });
      return true;
    },
  },
  {
    kind: 'corrupt',
    what: 'a message is in another partition',
    powerCuts: true,
    apply: (history, pick) => {
      const found = place(history, pick, () => true);
      const other = history.logs.find((log) => log !== found?.log);
      if (found === undefined || other === undefined) return false;
      other.records.push({ ...found.record, offset: other.endOffset });
      return true;
    },
  },
  {
    kind: 'never-sent',
    what: 'there is a message that nobody sent',
    powerCuts: true,
    apply: (history, pick) => {
      const found = place(history, pick, () => true);
      if (found === undefined) return false;
      found.record.sequence = 1_000_000;
      return true;
    },
  },
  {
    kind: 'skipped',
    what: 'a consumer passed over a message',
    powerCuts: true,
    apply: (history, pick) => {
      const reading = readingOf(history, pick, 2);
      const log = history.logs.find(({ partition }) => partition === reading?.partition);
      if (reading === undefined || log === undefined) return false;
      const index = pick(reading.records.length - 1);
      const offset = reading.records[index]?.offset ?? 0;
      const remains = log.records.some((record) => record.offset === offset);
      if (!remains) return false;
      reading.records.splice(index, 1);
      return true;
    },
  },
  {
    kind: 'skipped-by-group',
    what: 'no member got a message that the group committed',
    powerCuts: true,
    apply: (history, pick) => {
      const commit = oneOf(history.commits, pick);
      const log = history.logs.find(({ partition }) => partition === commit?.partition);
      if (commit === undefined || log === undefined) return false;
      const committed = log.records.filter(({ offset }) => offset < commit.offset);
      const record = oneOf(committed, pick);
      if (record === undefined) return false;
      for (const { group, partition, records } of history.readings) {
        const index = records.findIndex(({ offset }) => offset === record.offset);
        const own = group === commit.group && partition === commit.partition;
        if (own && index >= 0) records.splice(index, 1);
      }
      return true;
    },
  },
  {
    kind: 'commit-lost',
    what: 'a member began before the last commit',
    powerCuts: true,
    apply: (history, pick) => {
      const before = (reading: MutableHistory['readings'][number]) =>
        history.commits.filter(
          ({ group, partition, acknowledgedAt, offset }) =>
            group === reading.group &&
            partition === reading.partition &&
            acknowledgedAt < reading.beganAt &&
            offset > 0,
        );
      const reading = oneOf(
        history.readings.filter((own) => before(own).length > 0),
        pick,
      );
      if (reading === undefined) return false;
      reading.startOffset = Math.max(...before(reading).map(({ offset }) => offset)) - 1;
      return true;
    },
  },
];
