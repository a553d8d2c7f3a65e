import { describe, expect, test } from '@jest/globals';
import type { StoredGroup } from '../../../broker/src/groups/group-store.js';
import { settled } from './support/fake-clock.js';
import {
  assigned,
  errorIn,
  GROUP,
  nobody,
  refusal,
  SESSION_MS,
  TestGroup,
} from './support/test-group.js';

describe('after a restart', () => {
  test('a Stable group goes on without a rebalance', async () => {
    const group = new TestGroup();
    const [first = nobody, second = nobody] = await group.stable(2, [[0], [1]]);
    await group.clock.pass(SESSION_MS - 1);
    group.restart();
    await group.clock.pass(SESSION_MS - 1);
    expect([group.heartbeat(first), group.heartbeat(second)]).toEqual(['NONE', 'NONE']);
    expect(group.described.state).toBe('Stable');
    const other = await group.commit(first, 1, 5);
    expect(other.entries.map(errorIn)).toEqual(['NOT_PARTITION_OWNER']);
    const own = await group.commit(first, 0, 5);
    expect(own.entries.map(errorIn)).toEqual(['NONE']);
    const { memberId, generation } = second;
    const sync = await group.sync({ memberId, generation }).promise;
    expect(sync).toMatchObject({ protocolName: 'range', assignment: assigned([1]) });
  });

  test('members that are no more expire', async () => {
    const group = new TestGroup();
    await group.stable(1);
    group.restart('crash');
    await group.clock.pass(SESSION_MS);
    expect(group.described).toMatchObject({ state: 'Empty', generation: 2 });
  });

  test('a generation that was not stored is made anew', async () => {
    const group = new TestGroup();
    const [first = nobody, second = nobody] = await group.stable(2);
    const joins = [first, second].map(({ memberId }) => group.join({ memberId }));
    await Promise.all(joins.map(({ promise }) => promise));
    group.restart('crash');
    const { memberId, generation } = first;
    expect(group.heartbeat({ memberId, generation: generation + 1 })).toBe('ILLEGAL_GENERATION');
    const again = group.join({ memberId });
    group.join({ memberId: second.memberId });
    await settled();
    group.join({ memberId: second.memberId });
    expect(await again.promise).toMatchObject({ generation: generation + 1 });
  });

  test('an Empty group continues its generations', async () => {
    const group = new TestGroup();
    const [member = nobody] = await group.stable(1);
    group.leave(member.memberId);
    await settled();
    group.restart();
    const { join } = await group.enter();
    expect(join.outcome).toMatchObject({ generation: 3 });
  });

  test.each<[string, Partial<StoredGroup>]>([
    ['no protocol', { protocolName: null }],
    ['a member twice', { members: [] }],
  ])('a group stored with %s is Empty', async (what, broken) => {
    const group = new TestGroup();
    await group.stable(1);
    const stored = group.store.groups.get(GROUP);
    if (stored === undefined) throw new Error('it was stored');
    const members =
      what === 'a member twice' ? [...stored.members, ...stored.members] : stored.members;
    group.store.groups.set(GROUP, { ...stored, ...broken, members });
    group.restart();
    expect(group.described).toMatchObject({ state: 'Empty', generation: 1 });
    expect(group.clock.pendingTimers).toBe(0);
  });

  test('a group whose leader is not among its members gets another one', async () => {
    const group = new TestGroup();
    const [member = nobody] = await group.stable(1);
    const stored = group.store.groups.get(GROUP);
    if (stored === undefined) throw new Error('it was stored');
    group.store.groups.set(GROUP, { ...stored, leaderId: 'x' });
    group.restart();
    const again = await group.join({ memberId: member.memberId }).promise;
    expect(again).toMatchObject({ leaderId: member.memberId, generation: 2 });
  });
});

describe('when the coordinator closes', () => {
  test('everything that waits is told, and no timer is left', async () => {
    const group = new TestGroup();
    const [first = nobody, second = nobody] = await group.stable(2);
    const { join } = await group.enter();
    await group.join({ groupId: 'other' }).promise;
    group.coordinator.close();
    expect(errorIn(await join.promise)).toBe('SHUTTING_DOWN');
    expect(group.clock.pendingTimers).toBe(0);
    expect(group.heartbeat(first)).toBe('SHUTTING_DOWN');
    expect(await refusal(group.commit(second, 0, 1))).toBe('SHUTTING_DOWN');
    expect(errorIn(await group.join().promise)).toBe('SHUTTING_DOWN');
  });

  test('a sync that waits for the store is told, and nothing comes of it', async () => {
    const group = new TestGroup();
    const { memberId } = await group.enter();
    group.store.hold();
    const sync = group.sync({ memberId, generation: 1 });
    await settled();
    group.coordinator.close();
    expect(await refusal(sync.promise)).toBe('SHUTTING_DOWN');
    group.store.release();
    await settled();
    expect(group.clock.pendingTimers).toBe(0);
    expect(group.described.state).toBe('CompletingRebalance');
  });
});
