import { describe, expect, test } from '@jest/globals';
import { ProtocolError } from '@millrace/protocol';
import type { SyncGroupRequest, SyncGroupResponse } from '@millrace/protocol';
import { settled } from './support/fake-clock.js';
import {
  assigned,
  errorIn,
  REBALANCE_MS,
  refusal,
  SESSION_MS,
  TestGroup,
} from './support/test-group.js';
import type { Pending } from './support/test-group.js';

/** A group of two that has joined and not synced: the leader first. */
class Completing extends TestGroup {
  leader = '';
  follower = '';
  generation = 0;

  async prepare(): Promise<void> {
    const members = await this.stable(2, [[0], [1]]);
    await this.rejoin(members.map(({ memberId }) => memberId));
  }

  async rejoin(ids: readonly string[] = [this.leader, this.follower]): Promise<void> {
    const joins = ids.map((memberId) => this.join({ memberId }));
    const [joined] = await Promise.all(joins.map(({ promise }) => promise));
    [this.leader = '', this.follower = ''] = ids;
    this.generation = joined?.generation ?? 0;
  }

  follow(fields: Partial<SyncGroupRequest> = {}): Pending<SyncGroupResponse> {
    return this.sync({ memberId: this.follower, generation: this.generation, ...fields });
  }

  /** The leader's sync, which gives partitions to itself and to the follower. */
  lead(mine: readonly number[], other: readonly number[]): Pending<SyncGroupResponse> {
    const assignments = [
      { memberId: this.leader, assignment: assigned(mine) },
      { memberId: this.follower, assignment: assigned(other) },
    ];
    return this.sync({ memberId: this.leader, generation: this.generation, assignments });
  }
}

async function completing(): Promise<Completing> {
  const group = new Completing();
  await group.prepare();
  return group;
}

test('a follower waits for the leader, and does not expire meanwhile', async () => {
  const group = await completing();
  const follows = group.follow();
  const { leader: memberId, generation } = group;
  for (let passedMs = 0; passedMs < 2 * SESSION_MS; passedMs += 5_000) {
    expect(group.heartbeat({ memberId, generation })).toBe('NONE');
    await group.clock.pass(5_000);
  }
  expect(follows.outcome).toBeUndefined();
  await expect(group.lead([0, 2], [1]).promise).resolves.toMatchObject({
    assignment: assigned([0, 2]),
  });
  await expect(follows.promise).resolves.toMatchObject({ assignment: assigned([1]) });
});

test('nobody is told an assignment before it is stored', async () => {
  const group = await completing();
  group.store.hold();
  const syncs = [group.follow(), group.lead([0, 2], [1])];
  await settled();
  expect(syncs.map(({ outcome }) => outcome)).toEqual([undefined, undefined]);
  group.store.release();
  await settled();
  expect(syncs.map(({ outcome }) => outcome)).toEqual([
    { protocolType: 'consumer', protocolName: 'range', assignment: assigned([1]) },
    { protocolType: 'consumer', protocolName: 'range', assignment: assigned([0, 2]) },
  ]);
  expect(group.store.groups.get('billing')).toMatchObject({
    ...{ generation: group.generation, leaderId: group.leader, protocolName: 'range' },
    members: [{ assignment: assigned([0, 2]) }, { assignment: assigned([1]) }],
  });
});

test('a late follower gets its assignment at once in a Stable group', async () => {
  const group = await completing();
  await group.lead([0], [1]).promise;
  await expect(group.follow().promise).resolves.toMatchObject({ assignment: assigned([1]) });
});

test('a sync that is sent again is the one that is answered', async () => {
  const group = await completing();
  const first = group.follow();
  const second = group.follow();
  expect(await refusal(first.promise)).toBe('REBALANCE_IN_PROGRESS');
  await group.lead([0], [1]).promise;
  await expect(second.promise).resolves.toMatchObject({ assignment: assigned([1]) });
});

test('a waiting sync whose connection ended leaves the member its session timeout', async () => {
  const group = await completing();
  const connection = new AbortController();
  const { memberId, generation } = { memberId: group.follower, generation: group.generation };
  const sync = group.sync({ memberId, generation }, connection.signal);
  connection.abort();
  expect(await refusal(sync.promise)).toBe('REQUEST_TIMED_OUT');
  await group.lead([0], [1]).promise;
  for (let passedMs = 0; passedMs < SESSION_MS; passedMs += 5_000) {
    group.heartbeat({ memberId: group.leader, generation });
    await group.clock.pass(5_000);
  }
  expect(group.heartbeat({ memberId, generation })).toBe('UNKNOWN_MEMBER_ID');
});

describe('a sync is refused', () => {
  test('of another generation, an unknown member, or another protocol', async () => {
    const group = await completing();
    const generation = group.generation - 1;
    expect(await refusal(group.follow({ generation }).promise)).toBe('ILLEGAL_GENERATION');
    expect(await refusal(group.follow({ memberId: 'x' }).promise)).toBe('UNKNOWN_MEMBER_ID');
    expect(await refusal(group.follow({ groupId: 'x' }).promise)).toBe('UNKNOWN_MEMBER_ID');
    expect(await refusal(group.follow({ groupId: '' }).promise)).toBe('INVALID_GROUP_ID');
    for (const wrong of [{ protocolType: 'connect' }, { protocolName: 'sticky' }]) {
      expect(await refusal(group.follow(wrong).promise)).toBe('INCONSISTENT_GROUP_PROTOCOL');
    }
  });

  test('while the group prepares a rebalance', async () => {
    const group = await completing();
    await group.enter();
    expect(await refusal(group.follow().promise)).toBe('REBALANCE_IN_PROGRESS');
  });
});

describe("a leader's assignment is invalid", () => {
  const wrong: [string, (group: Completing) => Pending<SyncGroupResponse>][] = [
    ['for someone who is no member', (group) => group.sync(stranger(group))],
    ['that names a member twice', (group) => group.sync(twice(group))],
    ['that gives a partition to two members', (group) => group.lead([0, 1], [1])],
  ];

  test.each(wrong)('%s: it is told, the others rebalance', async (_, lead) => {
    const group = await completing();
    const follows = group.follow();
    const { promise } = lead(group);
    expect(await refusal(promise)).toBe('INVALID_ASSIGNMENT');
    expect(await refusal(follows.promise)).toBe('REBALANCE_IN_PROGRESS');
    expect(group.described.state).toBe('PreparingRebalance');
    await group.rejoin();
    await group.lead([0], [1]).promise;
    expect(group.described.state).toBe('Stable');
  });

  test('and names the partition and both members', async () => {
    const group = await completing();
    const message = `orders-1 to ${group.leader} and ${group.follower}`;
    await expect(group.lead([0, 1], [1]).promise).rejects.toThrow(message);
  });

  test('twice in a row: the group goes on without that leader', async () => {
    const group = await completing();
    await group.lead([0], [0]).promise.catch(() => undefined);
    await group.rejoin();
    const bad = group.leader;
    expect(await refusal(group.lead([0], [0]).promise)).toBe('INVALID_ASSIGNMENT');
    expect(errorIn(await group.join({ memberId: bad }).promise)).toBe('UNKNOWN_MEMBER_ID');
    const next = await group.join({ memberId: group.follower }).promise;
    expect(next).toMatchObject({ leaderId: group.follower });
  });

  test('larger than maxGroupMetadataBytes', async () => {
    const group = await completing();
    Object.assign(group.config, { maxGroupMetadataBytes: 20 });
    await expect(group.lead([0], [1, 2, 3, 4]).promise).rejects.toThrow(
      'maxGroupMetadataBytes of 20',
    );
  });

  test('not where it is no consumer assignment: such bytes are its own business', async () => {
    const group = await completing();
    const assignments = [group.leader, group.follower].map((memberId) => ({
      memberId,
      assignment: Buffer.from('own'),
    }));
    const { leader: memberId, generation } = group;
    await expect(group.sync({ memberId, generation, assignments }).promise).resolves.toBeDefined();
  });
});

describe('when the new generation cannot be stored', () => {
  test('everybody is told to try again, and the group rebalances', async () => {
    const group = await completing();
    group.store.failures = 1;
    const syncs = [group.follow(), group.lead([0], [1])];
    for (const { promise } of syncs) {
      await expect(promise).rejects.toMatchObject({ errorName: 'COORDINATOR_NOT_AVAILABLE' });
    }
    expect(group.described.state).toBe('PreparingRebalance');
    await group.rejoin();
    await group.lead([0], [1]).promise;
    expect(group.described.state).toBe('Stable');
  });

  test('because it is too large: they are told that', async () => {
    const group = await completing();
    group.store.failures = 1;
    group.store.failure = new ProtocolError('MESSAGE_TOO_LARGE');
    expect(await refusal(group.lead([0], [1]).promise)).toBe('MESSAGE_TOO_LARGE');
  });

  test('because the store does not answer: the group starts over in time', async () => {
    const group = await completing();
    group.store.hold();
    const syncs = [group.follow(), group.lead([0], [1])];
    await group.clock.pass(REBALANCE_MS);
    for (const { promise } of syncs) {
      expect(await refusal(promise)).toBe('COORDINATOR_NOT_AVAILABLE');
    }
    group.store.release();
    await settled();
    expect(group.described.state).toBe('PreparingRebalance');
  });

  test.each([0, 1])('but the group has gone on: nothing comes of it (failures: %i)', async (n) => {
    const group = await completing();
    group.store.hold();
    group.store.failures = n;
    const leads = group.lead([0], [1]);
    await settled();
    group.leave(group.follower);
    expect(await refusal(leads.promise)).toBe('REBALANCE_IN_PROGRESS');
    const again = group.join({ memberId: group.leader });
    await settled();
    group.store.release();
    await settled();
    expect(again.outcome).toMatchObject({ generation: group.generation + 1 });
    expect(group.described.state).toBe('CompletingRebalance');
  });
});

test('the last member may leave while its assignment is being stored', async () => {
  const group = await completing();
  group.store.hold();
  const leads = group.lead([0], [1]);
  group.leave(group.follower);
  group.leave(group.leader);
  expect(await refusal(leads.promise)).toBe('REBALANCE_IN_PROGRESS');
  group.store.release();
  await settled();
  expect(group.described).toMatchObject({ state: 'Empty', generation: group.generation + 1 });
  expect(group.store.groups.get('billing')).toMatchObject({ members: [], protocolName: null });
  expect(group.clock.pendingTimers).toBe(0);
});

function stranger(group: Completing): Partial<SyncGroupRequest> {
  const { leader: memberId, generation } = group;
  const assignments = [{ memberId: 'stranger', assignment: assigned([0]) }];
  return { memberId, generation, assignments };
}

function twice(group: Completing): Partial<SyncGroupRequest> {
  const { leader: memberId, generation } = group;
  const assignment = { memberId, assignment: assigned([0]) };
  return { memberId, generation, assignments: [assignment, assignment] };
}
