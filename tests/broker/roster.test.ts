import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Roster } from '../../broker/src/roster.js';
import type { Seat } from '../../broker/src/roster.js';
import { membersOf } from './support/members-of.js';

const byValue = (a: number, b: number): number => a - b;

describe('a roster', () => {
  test('has those who came and did not leave, each once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constant('add' as const), fc.nat(1_000)), { maxLength: 300 }),
        (steps) => {
          const roster = new Roster<number>();
          const there = new Map<number, Seat<number>>();
          const gone: Seat<number>[] = [];
          for (const [number, step] of steps.entries()) {
            if (step === 'add') there.set(number, roster.add(number));
            else {
              const member = [...there.keys()][step % Math.max(there.size, 1)];
              const seat = member === undefined ? gone[0] : there.get(member);
              if (member !== undefined) there.delete(member);
              if (seat !== undefined) {
                roster.remove(seat);
                gone.push(seat);
              }
            }
            expect(roster.size).toBe(there.size);
          }
          for (const seat of gone) roster.remove(seat);
          expect(membersOf(roster).sort(byValue)).toEqual([...there.keys()].sort(byValue));
        },
      ),
    );
  });

  test('may lose the one that is visited, and others', () => {
    const roster = new Roster<string>();
    const seats = new Map(['a', 'b', 'c', 'd'].map((name) => [name, roster.add(name)]));
    const visits = new Map<string, number>();
    roster.forEach((name) => {
      visits.set(name, (visits.get(name) ?? 0) + 1);
      for (const leaving of name === 'c' ? ['c', 'a'] : [name]) {
        const seat = seats.get(leaving);
        if (seat !== undefined) roster.remove(seat);
      }
    });
    expect([...visits].sort()).toEqual([
      ['b', 1],
      ['c', 1],
      ['d', 1],
    ]);
    expect(roster.size).toBe(0);
  });

  test('takes in those who come in a visit', () => {
    const roster = new Roster<number>();
    roster.add(1);
    const visited: number[] = [];
    roster.forEach((member) => {
      visited.push(member);
      roster.add(member + 1);
    });
    expect(visited).toEqual([1]);
    expect(membersOf(roster).sort(byValue)).toEqual([1, 2]);
  });
});
