import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  resolveAssignors,
  type AssignorMember,
  type Assignments,
  type NamedPartition,
} from '../../../../client/src/group/assignors/index.js';
import { testSeed } from '../../../support/seed.js';

const seed = testSeed() | 0;
const property = { seed, numRuns: 150 };

type Counts = ReadonlyMap<string, number>;

function assignorOf(name: 'sticky' | 'cooperative-sticky') {
  const [assignor] = resolveAssignors([name]);
  if (assignor === undefined) throw new Error('no assignor');
  return assignor;
}
const sticky = assignorOf('sticky');
const cooperative = assignorOf('cooperative-sticky');

function key({ topic, partition }: NamedPartition): string {
  return `${topic}/${partition}`;
}

/** Members as they would join after an assignment. */
function rejoin(
  members: readonly AssignorMember[],
  had: Assignments,
  generation: number,
): AssignorMember[] {
  return members.map((member) => {
    const owned = had.get(member.memberId) ?? [];
    return { ...member, owned, generation: owned.length === 0 ? -1 : generation };
  });
}

/** Round after round as members with a cooperative assignor have it, until nothing moves. */
function settle(members: readonly AssignorMember[], counts: Counts, generation = 1): Assignments {
  const first = cooperative.assign(members, counts);
  const kept = members.map((member) => {
    const now = new Set((first.get(member.memberId) ?? []).map(key));
    return member.owned.every((partition) => now.has(key(partition)));
  });
  if (kept.every(Boolean)) return first;
  return settle(rejoin(members, first, generation), counts, generation + 1);
}

function owners(assignments: Assignments): Map<string, string[]> {
  const result = new Map<string, string[]>();
  for (const [id, own] of assignments) {
    for (const partition of own) {
      result.set(key(partition), [...(result.get(key(partition)) ?? []), id]);
    }
  }
  return result;
}

function loads(assignments: Assignments): number[] {
  return [...assignments.values()].map(({ length }) => length).sort((a, b) => a - b);
}

const topicNames = ['a', 'b', 'c', 'd'];
const countsArb: fc.Arbitrary<Counts> = fc
  .array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: topicNames.length })
  .map((numbers) => new Map(numbers.map((count, index) => [topicNames[index] ?? '', count])));

function membersArb(equal: boolean): fc.Arbitrary<AssignorMember[]> {
  const topics = equal ? fc.constant(topicNames) : fc.subarray(topicNames, { minLength: 1 });
  return fc
    .array(topics, { minLength: 1, maxLength: 9 })
    .map((all) => all.map((wanted, index) => newMember(`m${index}`, wanted)));
}

function newMember(memberId: string, topics: readonly string[] = topicNames): AssignorMember {
  return { memberId, groupInstanceId: null, topics, owned: [], generation: -1 };
}

/** Any members that own anything, also the same and what does not exist. */
const messyArb = fc.tuple(membersArb(false), countsArb).chain(([members, counts]) =>
  fc
    .tuple(
      ...members.map(() =>
        fc.record({
          owned: fc.uniqueArray(
            fc.record({
              topic: fc.constantFrom(...topicNames),
              partition: fc.integer({ min: 0, max: 14 }),
            }),
            { maxLength: 12, selector: key },
          ),
          generation: fc.integer({ min: 1, max: 3 }),
        }),
      ),
    )
    .map((states) => ({
      counts,
      members: members.map((member, index) => ({ ...member, ...states[index] })),
    })),
);

describe('every partition of a subscribed topic', () => {
  it('has exactly one owner, who subscribes to it (sticky)', () => {
    fc.assert(
      fc.property(messyArb, ({ members, counts }) => {
        expectComplete(sticky.assign(members, counts), members, counts);
      }),
      property,
    );
  });

  it('has exactly one owner when the cooperative rounds are over', () => {
    fc.assert(
      fc.property(messyArb, ({ members, counts }) => {
        expectComplete(settle(members, counts), members, counts);
      }),
      property,
    );
  });

  function expectComplete(
    assignments: Assignments,
    members: readonly AssignorMember[],
    counts: Counts,
  ): void {
    const expected = topicNames
      .filter((topic) => members.some(({ topics }) => topics.includes(topic)))
      .flatMap((topic) =>
        Array.from({ length: counts.get(topic) ?? 0 }, (_, partition) => key({ topic, partition })),
      );
    const actual = owners(assignments);
    expect([...actual.keys()].sort()).toEqual(expected.sort());
    for (const ids of actual.values()) expect(ids).toHaveLength(1);
    for (const { memberId, topics } of members) {
      for (const { topic } of assignments.get(memberId) ?? []) expect(topics).toContain(topic);
    }
    expect(assignments.size).toBe(members.length);
  }

  it('never gets a new owner while the old one may still have it (cooperative)', () => {
    fc.assert(
      fc.property(messyArb, ({ members, counts }) => {
        const now = owners(cooperative.assign(members, counts));
        for (const [partition, ids] of now) {
          expect(ids).toHaveLength(1);
          const claims = members.filter(({ owned }) => owned.some((own) => key(own) === partition));
          const latest = Math.max(...claims.map(({ generation }) => generation));
          const owning = claims.filter(({ generation }) => generation === latest);
          for (const { memberId } of owning) expect(ids).toEqual([memberId]);
        }
      }),
      property,
    );
  });
});

describe('balance', () => {
  it('is within one partition where all subscribe to the same', () => {
    fc.assert(
      fc.property(membersArb(true), countsArb, (members, counts) => {
        const [least = 0, ...more] = loads(sticky.assign(members, counts));
        expect((more.at(-1) ?? least) - least).toBeLessThanOrEqual(1);
      }),
      property,
    );
  });

  it('is as good as subscriptions allow, whatever members had before', () => {
    fc.assert(
      fc.property(messyArb, ({ members, counts }) => {
        const assignments = sticky.assign(members, counts);
        expect(canBeEvener(assignments, members)).toBe(false);
      }),
      property,
    );
  });

  /** Whether partitions could be passed on, over others, to somebody with at least two less. */
  function canBeEvener(assignments: Assignments, members: readonly AssignorMember[]): boolean {
    return members.some(({ memberId }) => {
      const reached = new Set([memberId]);
      for (const id of reached) {
        const topics = new Set((assignments.get(id) ?? []).map(({ topic }) => topic));
        for (const other of members) {
          if (other.topics.some((topic) => topics.has(topic))) reached.add(other.memberId);
        }
      }
      const load = (id: string): number => assignments.get(id)?.length ?? 0;
      return [...reached].some((id) => load(id) <= load(memberId) - 2);
    });
  }
});

describe('stickiness', () => {
  it('moves to a member that joins no more than it gets, and nothing between the others', () => {
    fc.assert(
      fc.property(membersArb(true), countsArb, (members, counts) => {
        const before = settle(members, counts);
        const joined = [...rejoin(members, before, 1), newMember('m99')];
        const after = settle(joined, counts, 2);
        const total = [...before.values()].reduce((sum, { length }) => sum + length, 0);
        const share = after.get('m99')?.length ?? 0;
        expect(share).toBe(Math.floor(total / joined.length));
        expect(moved(before, after)).toBe(share);
      }),
      property,
    );
  });

  it('moves only what the member had that left', () => {
    fc.assert(
      fc.property(membersArb(true), countsArb, fc.nat(), (members, counts, pick) => {
        const before = settle(members, counts);
        const left = members[pick % members.length]?.memberId ?? '';
        const others = members.filter(({ memberId }) => memberId !== left);
        fc.pre(others.length > 0);
        const after = settle(rejoin(others, before, 1), counts, 2);
        expect(moved(before, after)).toBe(before.get(left)?.length);
      }),
      property,
    );
  });

  it('moves nothing when nothing changed, whatever the subscriptions', () => {
    fc.assert(
      fc.property(membersArb(false), countsArb, (members, counts) => {
        const before = settle(members, counts);
        expect(moved(before, settle(rejoin(members, before, 1), counts, 2))).toBe(0);
      }),
      property,
    );
  });

  function moved(before: Assignments, after: Assignments): number {
    const then = owners(before);
    return [...owners(after)].filter(([partition, [id]]) => then.get(partition)?.[0] !== id).length;
  }
});

it('does not depend on the order of the members', () => {
  fc.assert(
    fc.property(messyArb, fc.infiniteStream(fc.nat()), ({ members, counts }, ranks) => {
      const shuffled = members
        .map((member) => ({ member, rank: Number(ranks.next().value) }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ member }) => member);
      for (const assignor of [sticky, cooperative]) {
        expect(assignor.assign(shuffled, counts)).toEqual(assignor.assign(members, counts));
      }
    }),
    property,
  );
});

it('believes the higher generation where two claim a partition', () => {
  const owned = [{ topic: 'a', partition: 0 }];
  const old = { ...newMember('m0'), owned, generation: 3 };
  const current = { ...newMember('m1'), owned, generation: 4 };
  const result = cooperative.assign([old, current], new Map([['a', 1]]));
  expect(result.get('m1')).toEqual(owned);
  expect(result.get('m0')).toEqual([]);
});

it('gives to nobody at first what two members of one generation claim', () => {
  const owned = [{ topic: 'a', partition: 0 }];
  const members = ['m0', 'm1'].map((id) => ({ ...newMember(id), owned, generation: 3 }));
  expect(loads(cooperative.assign(members, new Map([['a', 1]])))).toEqual([0, 0]);
});

it('finds ways over members in between', () => {
  // m0 has only a; what it has too much of can only reach m2 by way of m1.
  const members = [
    { ...newMember('m0', ['a']), owned: all('a', 4), generation: 1 },
    { ...newMember('m1', ['a', 'b']), owned: all('b', 2), generation: 1 },
    newMember('m2', ['b']),
  ];
  const counts = new Map([
    ['a', 4],
    ['b', 2],
  ]);
  expect(loads(sticky.assign(members, counts))).toEqual([2, 2, 2]);

  function all(topic: string, count: number): NamedPartition[] {
    return Array.from({ length: count }, (_, partition) => ({ topic, partition }));
  }
});
