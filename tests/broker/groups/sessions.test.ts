import { describe, expect, test } from '@jest/globals';
import { settled } from './support/fake-clock.js';
import { errorIn, outcomeOf, SESSION_MS, TestGroup } from './support/test-group.js';
import { ProtocolError } from '@millrace/protocol';

const codeOf = (name: ConstructorParameters<typeof ProtocolError>[0]): number =>
  new ProtocolError(name).code;

describe('a session', () => {
  test('goes on for as long as heartbeats come', async () => {
    const group = new TestGroup();
    const [member] = await group.stable(1);
    for (let beat = 0; beat < 5; beat += 1) {
      await group.clock.pass(SESSION_MS - 1);
      expect(group.heartbeat(member ?? never())).toBe('NONE');
    }
  });

  test('ends when none comes for the session timeout, and the group rebalances', async () => {
    const group = new TestGroup();
    const [dead, alive] = await group.stable(2);
    await group.clock.pass(SESSION_MS - 1);
    expect(group.heartbeat(alive ?? never())).toBe('NONE');
    await group.clock.pass(1);
    expect(group.heartbeat(dead ?? never())).toBe('UNKNOWN_MEMBER_ID');
    expect(group.heartbeat(alive ?? never())).toBe('REBALANCE_IN_PROGRESS');
  });

  test('of the last member: the group is Empty, and that is stored', async () => {
    const group = new TestGroup();
    await group.stable(1);
    await group.clock.pass(SESSION_MS);
    expect(group.described).toMatchObject({ state: 'Empty', members: [], generation: 2 });
    expect(group.store.groups.get('billing')).toMatchObject({ generation: 2, members: [] });
    expect(group.clock.pendingTimers).toBe(0);
  });

  test('that is over only because the broker stood still leaves a last call', async () => {
    const group = new TestGroup();
    const [member] = await group.stable(1);
    group.clock.jump(10 * SESSION_MS);
    // The heartbeat that lay in the socket meanwhile is read now.
    expect(group.heartbeat(member ?? never())).toBe('NONE');
    await group.clock.pass(SESSION_MS - 1);
    expect(group.heartbeat(member ?? never())).toBe('NONE');
  });
});

test('a heartbeat is refused from who is no member, or of another generation', async () => {
  const group = new TestGroup();
  const [member] = await group.stable(1);
  const { memberId, generation } = member ?? never();
  expect(group.heartbeat({ memberId: 'x', generation })).toBe('UNKNOWN_MEMBER_ID');
  expect(group.heartbeat({ memberId, generation: generation + 1 })).toBe('ILLEGAL_GENERATION');
  expect(group.heartbeat({ memberId, generation: -1 })).toBe('ILLEGAL_GENERATION');
  const elsewhere = { groupId: 'x', memberId, generation, groupInstanceId: null };
  expect(outcomeOf(() => group.coordinator.heartbeat(elsewhere))).toBe('UNKNOWN_MEMBER_ID');
});

describe('a member that leaves', () => {
  test('is out at once, and the others rebalance', async () => {
    const group = new TestGroup();
    const [leaving, staying] = await group.stable(2);
    expect(group.leave(leaving?.memberId ?? '')).toEqual([0]);
    expect(group.heartbeat(staying ?? never())).toBe('REBALANCE_IN_PROGRESS');
    const again = await group.join({ memberId: staying?.memberId ?? '' }).promise;
    expect(again).toMatchObject({ generation: 3, leaderId: staying?.memberId });
  });

  test('while it waits in its join has that answered', async () => {
    const group = new TestGroup();
    await group.stable(1);
    const { memberId, join } = await group.enter();
    group.leave(memberId);
    expect(errorIn(await join.promise)).toBe('UNKNOWN_MEMBER_ID');
  });

  test('is the last that a rebalance waited for: the rebalance ends', async () => {
    const group = new TestGroup();
    const [leaving] = await group.stable(1);
    const { join } = await group.enter();
    group.leave(leaving?.memberId ?? '');
    await settled();
    expect(join.outcome).toMatchObject({ errorCode: 0, generation: 2 });
  });

  test('can be one that never used its id', async () => {
    const group = new TestGroup();
    const { memberId } = await group.join().promise;
    expect(group.leave(memberId)).toEqual([0]);
    expect(group.coordinator.groupCount).toBe(0);
    expect(group.clock.pendingTimers).toBe(0);
  });

  test('has a row of its own among several', async () => {
    const group = new TestGroup();
    const [first, second] = await group.stable(2);
    const members = [first?.memberId, 'x', second?.memberId].map((memberId = '') => ({
      ...{ memberId, groupInstanceId: null, reason: 'done' },
    }));
    const left = group.coordinator.leave({ groupId: 'billing', members });
    expect(left.members.map(errorIn)).toEqual(['NONE', 'UNKNOWN_MEMBER_ID', 'NONE']);
    await settled();
    expect(group.described.state).toBe('Empty');
  });

  test('that is unknown, or of an unknown group, is told so', async () => {
    const group = new TestGroup();
    expect(group.leave('x')).toEqual([codeOf('UNKNOWN_MEMBER_ID')]);
    await group.stable(1);
    expect(group.leave('')).toEqual([codeOf('UNKNOWN_MEMBER_ID')]);
  });
});

function never(): never {
  throw new Error('there is such a member');
}
