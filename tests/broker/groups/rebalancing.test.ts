import { describe, expect, test } from '@jest/globals';
import { ProtocolError } from '@millrace/protocol';
import { settled } from './support/fake-clock.js';
import {
  assigned,
  errorIn,
  REBALANCE_MS,
  refusal,
  SESSION_MS,
  subscribed,
  TestGroup,
  TOPIC,
} from './support/test-group.js';
import type { Joined } from './support/test-group.js';

/** A Stable group of two: the leader first. */
async function pair(group: TestGroup): Promise<[Joined, Joined]> {
  const [leader, follower] = await group.stable(2, [[0], [1]]);
  if (leader === undefined || follower === undefined) throw new Error('a group of two');
  return [leader, follower];
}

describe('a member that joins again in a Stable group', () => {
  test('as a follower with nothing new is answered the current generation', async () => {
    const group = new TestGroup();
    const [, follower] = await pair(group);
    const { memberId, generation } = follower;
    const again = await group.join({ memberId }).promise;
    expect(again).toMatchObject({ errorCode: 0, generation, members: [] });
    expect(group.described.state).toBe('Stable');
  });

  test('as a follower with other metadata starts a rebalance', async () => {
    const group = new TestGroup();
    const [leader, { memberId }] = await pair(group);
    const protocols = [{ name: 'range', metadata: subscribed([TOPIC], [1]) }];
    const again = group.join({ memberId, protocols });
    await settled();
    expect(again.outcome).toBeUndefined();
    expect(group.heartbeat(leader)).toBe('REBALANCE_IN_PROGRESS');
    const leads = await group.join({ memberId: leader.memberId }).promise;
    const generation = leader.generation + 1;
    expect(leads.members).toHaveLength(2);
    expect(leads.members[1]?.metadata).toEqual(protocols[0]?.metadata);
    expect(await again.promise).toMatchObject({ generation, members: [] });
  });

  test('as the leader always starts one', async () => {
    const group = new TestGroup();
    const [leader, follower] = await pair(group);
    const again = group.join({ memberId: leader.memberId });
    await settled();
    expect(again.outcome).toBeUndefined();
    expect(group.heartbeat(follower)).toBe('REBALANCE_IN_PROGRESS');
  });
});

describe('while a group prepares a rebalance', () => {
  test('who does not join again within the rebalance timeout is out', async () => {
    const group = new TestGroup();
    const [leader, follower] = await pair(group);
    const late = await group.enter();
    group.join({ memberId: leader.memberId });
    for (let passedMs = 0; passedMs < REBALANCE_MS; passedMs += 5_000) {
      expect(group.heartbeat(follower)).toBe('REBALANCE_IN_PROGRESS');
      await group.clock.pass(5_000);
    }
    expect(group.heartbeat(follower)).toBe('UNKNOWN_MEMBER_ID');
    expect(late.join.outcome).toMatchObject({ errorCode: 0, generation: leader.generation + 1 });
    expect(group.described.members).toHaveLength(2);
  });

  test('another leader is chosen when the old one does not join again', async () => {
    const group = new TestGroup();
    const [, follower] = await pair(group);
    await group.enter();
    group.join({ memberId: follower.memberId });
    await group.clock.pass(SESSION_MS);
    expect(group.described).toMatchObject({ state: 'CompletingRebalance' });
    const again = await group.join({ memberId: follower.memberId }).promise;
    expect(again).toMatchObject({ leaderId: follower.memberId });
    expect(again.members).toHaveLength(2);
  });

  test('a member that waits in its join does not expire', async () => {
    const group = new TestGroup();
    const [, follower] = await pair(group);
    const { join } = await group.enter();
    for (let passedMs = 0; passedMs < 2 * SESSION_MS; passedMs += 5_000) {
      group.heartbeat(follower);
      await group.clock.pass(5_000);
    }
    expect(join.outcome).toBeUndefined();
  });

  test('a join whose connection ended counts until the session timeout', async () => {
    const group = new TestGroup();
    const [leader, follower] = await pair(group);
    const connection = new AbortController();
    const dead = await group.enter({}, connection.signal);
    connection.abort();
    group.join({ memberId: leader.memberId });
    expect(errorIn(await dead.join.promise)).toBe('REQUEST_TIMED_OUT');
    await group.clock.pass(SESSION_MS - 1);
    expect(group.described.members).toHaveLength(3);
    expect(group.heartbeat(follower)).toBe('REBALANCE_IN_PROGRESS');
    await group.clock.pass(1);
    expect(group.described.members).toHaveLength(2);
    expect(group.heartbeat(follower)).toBe('REBALANCE_IN_PROGRESS');
  });

  test('a join is answered what its connection says when it ends', async () => {
    const group = new TestGroup();
    await pair(group);
    const connection = new AbortController();
    const { join } = await group.enter({}, connection.signal);
    connection.abort(new ProtocolError('SHUTTING_DOWN'));
    expect(errorIn(await join.promise)).toBe('SHUTTING_DOWN');
  });

  test('the same join sent again is the one that is answered', async () => {
    const group = new TestGroup();
    const [leader] = await pair(group);
    const { memberId, join } = await group.enter();
    const again = group.join({ memberId });
    expect(errorIn(await join.promise)).toBe('REBALANCE_IN_PROGRESS');
    expect(again.outcome).toBeUndefined();
    expect(group.heartbeat(leader)).toBe('REBALANCE_IN_PROGRESS');
  });
});

describe('after the join', () => {
  test('who does not sync within the rebalance timeout is out, and all join again', async () => {
    const group = new TestGroup();
    const [leader, follower] = await pair(group);
    const joins = [leader, follower].map(({ memberId }) => group.join({ memberId }));
    await settled();
    const generation = leader.generation + 1;
    const sync = group.sync({ memberId: follower.memberId, generation });
    for (let passedMs = 0; passedMs < REBALANCE_MS; passedMs += 5_000) {
      expect(group.heartbeat({ ...leader, generation })).toBe('NONE');
      await group.clock.pass(5_000);
    }
    expect(joins[0]?.outcome).toMatchObject({ generation });
    expect(await refusal(sync.promise)).toBe('REBALANCE_IN_PROGRESS');
    expect(group.heartbeat({ ...leader, generation })).toBe('UNKNOWN_MEMBER_ID');
    const again = await group.join({ memberId: follower.memberId }).promise;
    expect(again).toMatchObject({ generation: generation + 1, leaderId: follower.memberId });
  });

  test('a follower that never syncs in a Stable group is out too', async () => {
    const group = new TestGroup();
    const [leader, follower] = await pair(group);
    for (const { memberId } of [leader, follower]) group.join({ memberId });
    await settled();
    const generation = leader.generation + 1;
    await group.sync({ memberId: leader.memberId, generation }).promise;
    for (let passedMs = 0; passedMs < REBALANCE_MS; passedMs += 5_000) {
      for (const member of [leader, follower]) group.heartbeat({ ...member, generation });
      await group.clock.pass(5_000);
    }
    expect(group.heartbeat({ ...follower, generation })).toBe('UNKNOWN_MEMBER_ID');
    expect(group.heartbeat({ ...leader, generation })).toBe('REBALANCE_IN_PROGRESS');
  });

  test('a join with nothing new is answered again, as its answer may have been lost', async () => {
    const group = new TestGroup();
    const [leader, follower] = await pair(group);
    const joins = [leader, follower].map(({ memberId }) => group.join({ memberId }));
    const [first, second] = await Promise.all(joins.map(({ promise }) => promise));
    expect(await group.join({ memberId: leader.memberId }).promise).toEqual(first);
    expect(await group.join({ memberId: follower.memberId }).promise).toEqual(second);
  });

  test('a newcomer starts over, and who waits for its assignment is told', async () => {
    const group = new TestGroup();
    const [leader, follower] = await pair(group);
    for (const { memberId } of [leader, follower]) group.join({ memberId });
    await settled();
    const generation = leader.generation + 1;
    const sync = group.sync({ memberId: follower.memberId, generation });
    const { join } = await group.enter();
    expect(await refusal(sync.promise)).toBe('REBALANCE_IN_PROGRESS');
    for (const { memberId } of [leader, follower]) group.join({ memberId });
    await settled();
    expect(join.outcome).toMatchObject({ generation: generation + 1 });
  });
});

test('a lowered groupMaxMembers makes a restored group smaller at its next rebalance', async () => {
  const group = new TestGroup();
  const members = await group.stable(3);
  Object.assign(group.config, { groupMaxMembers: 2 });
  const joins = [];
  for (const { memberId } of members) joins.push(group.join({ memberId }));
  await settled();
  expect(joins.map(({ outcome }) => errorIn(outcome as { errorCode: number }))).toEqual([
    'NONE',
    'NONE',
    'GROUP_MAX_SIZE_REACHED',
  ]);
});

test('members that are not given anything get an assignment of no bytes', async () => {
  const group = new TestGroup();
  const [leader, follower] = await pair(group);
  const joins = [leader, follower].map(({ memberId }) => group.join({ memberId }));
  await Promise.all(joins.map(({ promise }) => promise));
  const generation = leader.generation + 1;
  const { memberId } = leader;
  const assignments = [{ memberId, assignment: assigned([0, 1]) }];
  const [given, none] = await Promise.all([
    group.sync({ memberId, generation, assignments }).promise,
    group.sync({ memberId: follower.memberId, generation }).promise,
  ]);
  expect(given.assignment).toEqual(assigned([0, 1]));
  expect(none.assignment).toHaveLength(0);
});
