import { describe, expect, test } from '@jest/globals';
import { settled } from './support/fake-clock.js';
import { errorIn, GROUP, nobody, SESSION_MS, TestGroup } from './support/test-group.js';

describe('who was given an id and has not come back with it', () => {
  test('holds up no rebalance', async () => {
    const group = new TestGroup();
    const [leader = nobody, follower = nobody] = await group.stable(2);
    const { memberId } = await group.join().promise;
    const joins = [leader, follower].map((member) => group.join({ memberId: member.memberId }));
    await settled();
    expect(joins.map(({ outcome }) => outcome)).toMatchObject([
      { errorCode: 0, generation: 3 },
      { errorCode: 0, generation: 3 },
    ]);
    // It is welcome all the same: with the next generation.
    const late = group.join({ memberId });
    group.join({ memberId: leader.memberId });
    group.join({ memberId: follower.memberId });
    expect(await late.promise).toMatchObject({ errorCode: 0, generation: 4, memberId });
  });

  test('keeps a group that it is the first of, but is no member of it', async () => {
    const group = new TestGroup();
    await group.join().promise;
    expect(group.described).toMatchObject({ errorCode: 0, state: 'Empty', members: [] });
    expect(group.coordinator.stats).toMatchObject({ members: 0, pendingMembers: 1 });
  });

  test('is forgotten when the group is deleted, or it leaves', async () => {
    const group = new TestGroup();
    const { memberId } = await group.join().promise;
    expect(group.leave(memberId)).toEqual([0]);
    expect(group.coordinator.groupCount).toBe(0);
    await group.join().promise;
    await group.store.commit(GROUP, []);
    await group.coordinator.delete({ groupIds: [GROUP] });
    expect(group.coordinator.stats.pendingMembers).toBe(0);
    expect(group.clock.pendingTimers).toBe(0);
  });

  test('has the pendingMemberTimeoutMs for it, or its shorter session timeout', async () => {
    const group = new TestGroup({ pendingMemberTimeoutMs: 2 * SESSION_MS });
    const patient = await group.join({ sessionTimeoutMs: 1_800_000 }).promise;
    const hasty = await group.join().promise;
    await group.clock.pass(SESSION_MS);
    expect(errorIn(await group.join({ memberId: hasty.memberId }).promise)).toBe(
      'UNKNOWN_MEMBER_ID',
    );
    expect(group.coordinator.stats.pendingMembers).toBe(1);
    await group.clock.pass(SESSION_MS);
    expect(errorIn(await group.join({ memberId: patient.memberId }).promise)).toBe(
      'UNKNOWN_MEMBER_ID',
    );
    expect([group.coordinator.groupCount, group.clock.pendingTimers]).toEqual([0, 0]);
  });
});

test('no more than maxPendingMembers ids of all groups are out at a time', async () => {
  const group = new TestGroup({ maxPendingMembers: 3 });
  const [first] = await Promise.all(
    ['a', 'b', 'c'].map((groupId) => group.join({ groupId }).promise),
  );
  const refused = await group.join({ groupId: 'd' }).promise;
  expect(errorIn(refused)).toBe('OVERLOADED');
  expect(refused.errorMessage).toContain('maxPendingMembers');
  expect(group.coordinator.groupCount).toBe(3);
  // Static members need none, and each one that is used makes room.
  const fixed = { groupId: 'd', groupInstanceId: 'till-1' };
  expect(errorIn(await group.join(fixed).promise)).toBe('NONE');
  const { memberId = '' } = first ?? {};
  expect(errorIn(await group.join({ groupId: 'a', memberId }).promise)).toBe('NONE');
  expect(errorIn(await group.join({ groupId: 'e' }).promise)).toBe('MEMBER_ID_REQUIRED');
  await group.clock.pass(SESSION_MS);
  expect(group.coordinator.stats.pendingMembers).toBe(0);
});
