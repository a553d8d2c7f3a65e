import {
  isAcknowledged,
  isIdempotent,
  messageOf,
  newMessage,
  oneOf,
  place,
  swap,
  type Mutant,
} from './mutant.js';

/** What a log holds, and where, is not what was sent. */
export const logMutants: readonly Mutant[] = [
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
];
