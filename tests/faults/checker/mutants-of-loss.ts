import {
  isAcknowledged,
  messageOf,
  oneOf,
  place,
  without,
  type Mutant,
  type MutableRecord,
} from './mutant.js';

/** Messages that are gone. */
export const lossMutants: readonly Mutant[] = [
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
];
