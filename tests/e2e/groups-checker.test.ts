import { expect, test } from '@jest/globals';
import { checkGroup } from '../support/group-checker.js';
import type { GroupHistory, StoredStep, Tenure } from '../support/group-history.js';

/** One partition of ten messages: a reads 0 to 4 and leaves, b reads the rest. */
const first: Tenure = {
  ...{ member: 'a', partition: 0, generation: 1, startOffset: 0 },
  ...{ assignedAtMs: 10, endedAtMs: 20, broken: false },
  delivered: [{ first: 0, last: 4, generation: 1 }],
};
const second: Tenure = {
  ...{ member: 'b', partition: 0, generation: 2, startOffset: 5 },
  ...{ assignedAtMs: 20, endedAtMs: 40, broken: false },
  delivered: [
    { first: 5, last: 6, generation: 2 },
    { first: 7, last: 9, generation: 2 },
  ],
};
const commit = (offset: number): StoredStep => ({ type: 'commit', partition: 0, offset });
const generation = (number: number, ...members: string[]): StoredStep => ({
  type: 'generation',
  generation: number,
  owned: new Map(members.map((member) => [member, [0]])),
});
const stored = [generation(1, 'a'), commit(3), commit(5), generation(2, 'b'), commit(10)];
const good: GroupHistory = { endOffsets: [10], tenures: [first, second], stored };

function anomaliesOf(change: Partial<GroupHistory>): readonly string[] {
  return checkGroup({ ...good, ...change }).anomalies;
}

test('a history as promised has no anomaly', () => {
  expect(checkGroup(good)).toEqual({ anomalies: [], duplicates: 0, delivered: 10 });
});

test('after a death messages come again from the last commit on, and are counted', () => {
  const tenures = [
    { ...first, broken: true, endedAtMs: undefined },
    { ...second, startOffset: 3, delivered: [{ first: 3, last: 9, generation: 2 }] },
  ];
  const history = {
    ...good,
    tenures,
    stored: [generation(1, 'a'), commit(3), generation(2, 'b'), commit(10)],
  };
  expect(checkGroup(history)).toEqual({ anomalies: [], duplicates: 2, delivered: 12 });
});

test('a member that was stopped while it got its partitions may read on when they have moved', () => {
  const late = { assignedAtMs: 30, endedAtMs: 31, broken: true, startOffset: 5 };
  const tenures = [
    { ...first, ...late, delivered: [{ first: 5, last: 6, generation: 1 }] },
    { ...second, startOffset: 0, delivered: [{ first: 0, last: 9, generation: 2 }] },
  ];
  const history = {
    ...good,
    tenures,
    stored: [generation(1, 'a'), generation(2, 'b'), commit(5), commit(10)],
  };
  expect(checkGroup(history)).toEqual({ anomalies: [], duplicates: 2, delivered: 12 });
});

test('what is never delivered is named, at the end and in between', () => {
  const cut = { ...second, delivered: [{ first: 5, last: 6, generation: 2 }] };
  expect(anomaliesOf({ tenures: [first, cut] })).toEqual(['never delivered: partition 0, 7 to 9']);
  expect(anomaliesOf({ tenures: [second] })).toEqual(['never delivered: partition 0, 0 to 4']);
});

test('a gap or a step back within one owner is out of order', () => {
  const [head, tail] = second.delivered;
  const skipping = { ...second, delivered: [head, { first: 8, last: 9, generation: 2 }] };
  expect(anomaliesOf({ tenures: [first, skipping] as Tenure[] })).toEqual([
    'out of order: partition 0 of b (generation 2) got 8 when 7 was next',
    'never delivered: partition 0, 7 to 7',
  ]);
  const repeating = { ...second, delivered: [head, head, tail] };
  expect(anomaliesOf({ tenures: [first, repeating] as Tenure[] })).toEqual([
    'out of order: partition 0 of b (generation 2) got 5 when 7 was next',
  ]);
});

test('an owner that begins behind the last commit skips', () => {
  const tenures = [
    first,
    { ...second, startOffset: 7, delivered: [{ first: 7, last: 9, generation: 2 }] },
  ];
  expect(anomaliesOf({ tenures })).toEqual([
    'skipped: partition 0 of b (generation 2) began at 7, committed: 5',
    'never delivered: partition 0, 5 to 6',
  ]);
});

test('a member that gets back what it was still giving up goes on at its own commit', () => {
  const back = { ...second, member: 'a' };
  const late = [generation(1, 'a'), commit(3), generation(2, 'a'), commit(5), commit(10)];
  expect(anomaliesOf({ tenures: [first, back], stored: late })).toEqual([]);
  expect(anomaliesOf({ tenures: [first, second], stored: late })).toEqual([
    'skipped: partition 0 of b (generation 2) began at 5, committed: 3',
  ]);
});

test('messages that come again though nobody died, or from before the last commit, are named', () => {
  const early = { ...second, startOffset: 3, delivered: [{ first: 3, last: 9, generation: 2 }] };
  const again =
    'delivered again though nobody died: 3 to 4, to partition 0 of a (generation 1) and then to ' +
    'partition 0 of b (generation 2)';
  const tooEarly = 'began too early: partition 0 of b (generation 2) at 3, not 5';
  expect(anomaliesOf({ tenures: [first, early] })).toEqual([tooEarly, again]);
  expect(anomaliesOf({ tenures: [{ ...first, broken: true }, early] })).toEqual([tooEarly]);
});

test('a commit that goes backwards, and one that never reaches the end', () => {
  const [join, , last, next, end] = stored as [StoredStep, ...StoredStep[]];
  const back = [join, last, commit(3), commit(5), next, end] as StoredStep[];
  expect(anomaliesOf({ stored: back })).toEqual([
    'commit went backwards: partition 0, from 5 to 3',
  ]);
  expect(anomaliesOf({ stored: stored.slice(0, -1) })).toEqual([
    'last commit is not the end: partition 0, 5 instead of 10',
  ]);
});

test('two owners in one stored generation', () => {
  const both = [...stored.slice(0, 3), generation(2, 'b', 'c'), commit(10)];
  expect(anomaliesOf({ stored: both })).toEqual([
    'two owners: generation 2 gives partition 0 to b and c',
  ]);
});

test('two members that read one partition in one generation', () => {
  const late = { ...first, delivered: [{ first: 0, last: 4, generation: 2 }] };
  expect(anomaliesOf({ tenures: [late, second] })).toEqual([
    'two readers: partition 0 in generation 2, a and b',
  ]);
});

test('an owner that begins before the one before it has ended', () => {
  expect(anomaliesOf({ tenures: [{ ...first, endedAtMs: 21 }, second] })).toEqual([
    'owned together: partition 0 of a (generation 1) had not ended when partition 0 of b ' +
      '(generation 2) began',
  ]);
});

test('an owner by a generation that the broker never stored', () => {
  expect(anomaliesOf({ tenures: [first, { ...second, generation: 3 }] })).toEqual([
    'generation never stored: partition 0 of b (generation 3)',
  ]);
});
