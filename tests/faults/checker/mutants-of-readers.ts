import { oneOf, readingOf, type Mutant } from './mutant.js';
import type { MutableHistory } from './model-log.js';

/** Consumers and groups that did not get what there was. */
export const readerMutants: readonly Mutant[] = [
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
