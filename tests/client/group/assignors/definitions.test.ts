import { describe, expect, it } from '@jest/globals';
import { InvalidArgumentError } from '@millrace/client';
import {
  resolveAssignors,
  type AssignorMember,
  type Assignments,
} from '../../../../client/src/group/assignors/index.js';
import type { AssignorName } from '../../../../client/src/group/types.js';

function member(memberId: string, topics: string[], groupInstanceId?: string): AssignorMember {
  const instance = groupInstanceId ?? null;
  return { memberId, groupInstanceId: instance, topics, owned: [], generation: -1 };
}

function assign(
  name: AssignorName,
  members: readonly AssignorMember[],
  counts: Readonly<Record<string, number>>,
): Record<string, string> {
  const [assignor] = resolveAssignors([name]);
  if (assignor === undefined) throw new Error('no assignor');
  return readable(assignor.assign(members, new Map(Object.entries(counts))));
}

function readable(assignments: Assignments): Record<string, string> {
  return Object.fromEntries(
    [...assignments].map(([id, own]) => [
      id,
      own.map(({ topic, partition }) => `${topic}${partition}`).join(' '),
    ]),
  );
}

// The examples are those of the Java documentation of Kafka's assignors.
describe('range', () => {
  it('gives each member a range of each topic, the first ones one more', () => {
    const members = [member('c1', ['a', 'b']), member('c0', ['a', 'b'])];
    expect(assign('range', members, { a: 3, b: 3 })).toEqual({ c0: 'a0 a1 b0 b1', c1: 'a2 b2' });
  });

  it('leaves members without a partition where there are too few', () => {
    const members = [member('c0', ['a']), member('c1', ['a']), member('c2', ['b'])];
    expect(assign('range', members, { a: 1 })).toEqual({ c0: 'a0', c1: '', c2: '' });
  });

  it('takes only those who subscribe to the topic', () => {
    const members = [member('c0', ['a']), member('c1', ['a', 'b'])];
    expect(assign('range', members, { a: 2, b: 2 })).toEqual({ c0: 'a0', c1: 'a1 b0 b1' });
  });

  it('puts static members first, by their instance id', () => {
    const members = [member('c0', ['a']), member('c9', ['a'], 'y'), member('c8', ['a'], 'z')];
    expect(assign('range', members, { a: 3 })).toEqual({ c9: 'a0', c8: 'a1', c0: 'a2' });
  });
});

describe('roundrobin', () => {
  it('deals all partitions of all topics in turn', () => {
    const members = [member('c0', ['a', 'b']), member('c1', ['a', 'b'])];
    const expected = { c0: 'a0 a2 b1', c1: 'a1 b0 b2' };
    expect(assign('roundrobin', members, { a: 3, b: 3 })).toEqual(expected);
  });

  it('passes over who does not subscribe to the topic', () => {
    const members = [member('c0', ['a']), member('c1', ['a', 'b']), member('c2', ['a', 'b', 'c'])];
    const expected = { c0: 'a0', c1: 'b0', c2: 'b1 c0 c1 c2' };
    expect(assign('roundrobin', members, { a: 1, b: 2, c: 3 })).toEqual(expected);
  });

  it('leaves out topics that nobody wants or that do not exist', () => {
    const members = [member('c0', ['a', 'gone'])];
    expect(assign('roundrobin', members, { a: 1, b: 5 })).toEqual({ c0: 'a0' });
  });
});

describe('names', () => {
  it('names the assignors that there are when one is asked for that is none', () => {
    const wanted = ['rnage'] as unknown as AssignorName[];
    expect(() => resolveAssignors(wanted)).toThrow(InvalidArgumentError);
    expect(() => resolveAssignors(wanted)).toThrow(
      'There is no assignor "rnage"; known are range, roundrobin, sticky, cooperative-sticky',
    );
  });

  it('takes an assignor of the application', () => {
    const own = { name: 'mine', cooperative: true, assign: () => new Map() };
    expect(resolveAssignors([own, 'range']).map(({ name }) => name)).toEqual(['mine', 'range']);
  });

  it('refuses none, and one twice', () => {
    expect(() => resolveAssignors([])).toThrow('at least one');
    expect(() => resolveAssignors(['range', 'range'])).toThrow('twice');
  });
});
