import { describe, expect, test } from '@jest/globals';
import { encodeSubscription } from '@millrace/protocol';
import type { JoinGroupRequest } from '@millrace/protocol';
import { settled } from './support/fake-clock.js';
import {
  errorIn,
  GROUP,
  nobody,
  outcomeOf,
  refusal,
  TestGroup,
  TOPIC,
} from './support/test-group.js';

/** Fields of a join whose metadata has a little more than so many bytes. */
function saying(bytes: number, names: readonly string[] = ['range']): Partial<JoinGroupRequest> {
  const metadata = encodeSubscription({
    ...{ topics: [TOPIC], owned: [], generation: -1, rackId: null },
    userData: Buffer.alloc(bytes),
  });
  return { protocols: names.map((name) => ({ name, metadata })) };
}

describe('what the members of one group say', () => {
  const config = { maxGroupMembersBytes: 3_000 };

  test('is bounded by refusing those who come, before there is a generation of them', async () => {
    const group = new TestGroup(config);
    await group.stable(2, [], saying(1_000));
    for (const who of [{}, { groupInstanceId: 'till-1' }]) {
      const refused = await group.join({ ...saying(1_000), ...who }).promise;
      expect(errorIn(refused)).toBe('GROUP_MAX_SIZE_REACHED');
      expect(refused.errorMessage).toContain('maxGroupMembersBytes of 3000');
    }
    expect(group.described).toMatchObject({ state: 'Stable', generation: 2 });
    expect(errorIn(await group.join(saying(500)).promise)).toBe('MEMBER_ID_REQUIRED');
  });

  test('is looked at again when somebody comes back with its id', async () => {
    const group = new TestGroup(config);
    const small = await group.join(saying(10)).promise;
    await group.stable(2, [], saying(1_000));
    const { memberId } = small;
    expect(errorIn(await group.join({ ...saying(1_000), memberId }).promise)).toBe(
      'GROUP_MAX_SIZE_REACHED',
    );
    expect(group.described.members).toHaveLength(2);
  });

  test('may not grow beyond the bound, and may always shrink', async () => {
    const group = new TestGroup(config);
    const [leader = nobody, follower = nobody] = await group.stable(2, [], saying(1_000));
    const { memberId } = follower;
    const grown = await group.join({ ...saying(2_000), memberId }).promise;
    expect(errorIn(grown)).toBe('GROUP_MAX_SIZE_REACHED');
    expect(group.heartbeat(follower)).toBe('NONE');
    const shrunk = group.join({ ...saying(10), memberId });
    await settled();
    const other = group.join({ ...saying(2_000), memberId: leader.memberId });
    expect(errorIn(await other.promise)).toBe('NONE');
    expect(errorIn(await shrunk.promise)).toBe('NONE');
  });

  test('counts for each protocol alone', async () => {
    const group = new TestGroup(config);
    const { join } = await group.enter(saying(2_000, ['range', 'sticky', 'own']));
    expect(join.outcome).toMatchObject({ errorCode: 0 });
  });

  test('of a static member is replaced by what its next process says', async () => {
    const group = new TestGroup(config);
    for (let process = 0; process < 5; process += 1) {
      const fields = { ...saying(2_000), groupInstanceId: 'till-1' };
      expect(errorIn(await group.join(fields).promise)).toBe('NONE');
    }
    expect(group.described.members).toHaveLength(1);
  });
});

describe('what the members of all groups take', () => {
  const config = { maxGroupMemoryBytes: 10_000 };

  test('is bounded: those who come are told to try again later', async () => {
    const group = new TestGroup(config);
    const fixed = (groupId: string): Partial<JoinGroupRequest> => ({
      ...saying(3_000),
      ...{ groupId, groupInstanceId: 'till-1' },
    });
    expect(errorIn(await group.join(fixed('a')).promise)).toBe('NONE');
    expect(errorIn(await group.join(fixed('b')).promise)).toBe('NONE');
    const refused = await group.join(fixed('c')).promise;
    expect(errorIn(refused)).toBe('OVERLOADED');
    expect(refused.errorMessage).toContain('maxGroupMemoryBytes of 10000');
    expect(group.coordinator.groupCount).toBe(2);
    // Those that are in go on, and who leaves makes room.
    expect(errorIn(await group.join(fixed('a')).promise)).toBe('NONE');
    const members = [{ memberId: '', groupInstanceId: 'till-1', reason: null }];
    group.coordinator.leave({ groupId: 'a', members });
    expect(errorIn(await group.join(fixed('c')).promise)).toBe('NONE');
  });

  test('counts every protocol that a member offers', async () => {
    const group = new TestGroup(config);
    expect(errorIn(await group.join(saying(3_000, ['range', 'sticky', 'own'])).promise)).toBe(
      'OVERLOADED',
    );
  });

  test('counts assignments: a leader that gives out too many bytes may try again', async () => {
    const group = new TestGroup(config);
    const { memberId, join } = await group.enter();
    const { generation } = await join.promise;
    const sync = (bytes: number): Promise<unknown> =>
      group.sync({
        ...{ memberId, generation },
        assignments: [{ memberId, assignment: Buffer.alloc(bytes) }],
      }).promise;
    expect(await refusal(sync(10_000))).toBe('OVERLOADED');
    expect(group.described.state).toBe('CompletingRebalance');
    expect(await refusal(sync(8_000))).toBe('NONE');
    expect(group.coordinator.stats.memberBytes).toBeGreaterThan(9_000);
    expect(errorIn(await group.join({ groupInstanceId: 'till-1' }).promise)).toBe('OVERLOADED');
    // As many bytes again in the next generation are no more than before.
    const again = await group.join({ memberId }).promise;
    const next = { memberId, generation: again.generation };
    const assignments = [{ memberId, assignment: Buffer.alloc(8_000, 1) }];
    expect(await refusal(group.sync({ ...next, assignments }).promise)).toBe('NONE');
    expect(outcomeOf(() => group.coordinator.close())).toBe('NONE');
  });

  test('is known after a restart, and nothing is left of it in the end', async () => {
    const group = new TestGroup();
    const members = await group.stable(3, [[0], [1], [2]], saying(100));
    const { memberBytes } = group.coordinator.stats;
    expect(memberBytes).toBeGreaterThan(300);
    group.restart();
    expect(group.coordinator.stats.memberBytes).toBe(memberBytes);
    for (const { memberId } of members) group.leave(memberId);
    await settled();
    expect(group.described).toMatchObject({ groupId: GROUP, state: 'Empty' });
    expect(group.coordinator.stats.memberBytes).toBe(0);
  });
});
