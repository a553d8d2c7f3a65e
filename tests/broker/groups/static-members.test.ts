import { describe, expect, test } from '@jest/globals';
import type { JoinGroupResponse } from '@millrace/protocol';
import { settled } from './support/fake-clock.js';
import type { Pending } from './support/test-group.js';
import {
  assigned,
  errorIn,
  outcomeOf,
  REBALANCE_MS,
  refusal,
  SESSION_MS,
  subscribed,
  TestGroup,
  TOPIC,
} from './support/test-group.js';

/** A Stable group of two static members, `till-0` (the leader) and `till-1`. */
class Tills extends TestGroup {
  readonly ids: string[] = [];
  generation = 0;

  come(index: number, memberId = '', topics = [TOPIC]): Pending<JoinGroupResponse> {
    const protocols = [{ name: 'range', metadata: subscribed(topics, memberId === '' ? [] : [0]) }];
    return this.join({ memberId, groupInstanceId: `till-${index}`, protocols });
  }

  async open(): Promise<this> {
    const { memberId } = await this.come(0).promise;
    const second = this.come(1);
    const first = await this.come(0, memberId).promise;
    this.generation = first.generation;
    this.ids.push(memberId, (await second.promise).memberId);
    const assignments = this.ids.map((id, index) => ({
      ...{ memberId: id, assignment: assigned([index]) },
    }));
    await this.sync({ memberId, generation: this.generation, assignments }).promise;
    await this.syncs(1).promise;
    return this;
  }

  syncs(index: number): ReturnType<TestGroup['sync']> {
    const memberId = this.ids[index] ?? '';
    const groupInstanceId = `till-${index}`;
    return this.sync({ memberId, generation: this.generation, groupInstanceId });
  }

  beats(index: number, memberId = this.ids[index] ?? ''): string {
    return this.heartbeat({ memberId, generation: this.generation }, `till-${index}`);
  }
}

describe('a static member that comes back to a Stable group', () => {
  test.each([0, 1])('keeps its assignment and costs no rebalance (till-%i)', async (index) => {
    const group = await new Tills().open();
    const { generation } = group;
    const before = group.ids[index] ?? '';
    const back = await group.come(index).promise;
    expect(back).toMatchObject({ errorCode: 0, generation });
    expect(back.memberId).not.toBe(before);
    expect(group.described.state).toBe('Stable');
    group.ids[index] = back.memberId;
    await expect(group.syncs(index).promise).resolves.toMatchObject({
      assignment: assigned([index]),
    });
    expect(group.beats(1 - index)).toBe('NONE');
  });

  test('as the leader is still told everybody', async () => {
    const group = await new Tills().open();
    const back = await group.come(0).promise;
    expect(back.leaderId).toBe(back.memberId);
    expect(back.members).toHaveLength(2);
  });

  test('fences the process that it takes the place of, with a clear error', async () => {
    const group = await new Tills().open();
    const old = group.ids[1] ?? '';
    await group.come(1).promise;
    expect(group.beats(1, old)).toBe('FENCED_INSTANCE_ID');
    expect(await refusal(group.syncs(1).promise)).toBe('FENCED_INSTANCE_ID');
    const rejoined = await group.come(1, old).promise;
    expect(errorIn(rejoined)).toBe('FENCED_INSTANCE_ID');
    expect(rejoined.errorMessage).toContain('another, newer member has group instance id till-1');
    const commit = group.commit({ memberId: old, generation: group.generation }, 1, 5, {
      groupInstanceId: 'till-1',
    });
    expect(await refusal(commit)).toBe('FENCED_INSTANCE_ID');
  });

  test('has a session of its own, and that of its old process is over', async () => {
    const group = await new Tills().open();
    await group.clock.pass(SESSION_MS / 2);
    group.ids[1] = (await group.come(1).promise).memberId;
    for (let passedMs = 0; passedMs < 2 * SESSION_MS; passedMs += SESSION_MS / 2) {
      expect([group.beats(0), group.beats(1)]).toEqual(['NONE', 'NONE']);
      await group.clock.pass(SESSION_MS / 2);
    }
    expect(group.described.state).toBe('Stable');
  });

  test('with other topics starts a rebalance', async () => {
    const group = await new Tills().open();
    const back = group.come(1, '', [TOPIC, 'returns']);
    await settled();
    expect(back.outcome).toBeUndefined();
    expect(group.beats(0)).toBe('REBALANCE_IN_PROGRESS');
  });

  test('may commit for what it has, and its old process may not', async () => {
    const group = await new Tills().open();
    const { generation } = group;
    await group.commit({ memberId: group.ids[1] ?? '', generation }, 1, 6);
    const { memberId } = await group.come(1).promise;
    const committed = await group.commit({ memberId, generation }, 1, 7);
    expect(committed.entries.map(errorIn)).toEqual(['NONE']);
    const other = await group.commit({ memberId, generation }, 0, 7);
    expect(other.entries.map(errorIn)).toEqual(['NOT_PARTITION_OWNER']);
  });

  test('is told its new id only when that is stored', async () => {
    const group = await new Tills().open();
    group.store.hold();
    const back = group.come(1);
    await settled();
    expect(back.outcome).toBeUndefined();
    group.store.release();
    const { memberId } = await back.promise;
    expect(group.store.groups.get('billing')?.members[1]).toMatchObject({ memberId });
  });

  test('and whose id cannot be stored comes again', async () => {
    const group = await new Tills().open();
    group.store.failures = 1;
    expect(errorIn(await group.come(1).promise)).toBe('COORDINATOR_NOT_AVAILABLE');
    expect(errorIn(await group.come(1).promise)).toBe('NONE');
    expect(group.described).toMatchObject({ state: 'Stable', generation: group.generation });
  });

  test('twice at a time: the later process wins', async () => {
    const group = await new Tills().open();
    const [first, second] = [group.come(1), group.come(1)];
    expect(errorIn(await first.promise)).toBe('FENCED_INSTANCE_ID');
    expect(errorIn(await second.promise)).toBe('NONE');
  });
});

test('a static member that comes back before the assignments are there starts over', async () => {
  const group = await new Tills().open();
  const joins = [group.come(0, group.ids[0]), group.come(1, group.ids[1])];
  await Promise.all(joins.map(({ promise }) => promise));
  group.generation += 1;
  const waits = group.syncs(1);
  const back = group.come(1);
  expect(await refusal(waits.promise)).toBe('FENCED_INSTANCE_ID');
  await settled();
  expect(group.beats(0)).toBe('REBALANCE_IN_PROGRESS');
  await group.come(0, group.ids[0]).promise;
  expect(await back.promise).toMatchObject({ generation: group.generation + 1 });
});

test('a static member whose join waits is fenced by a newer process', async () => {
  const group = await new Tills().open();
  const waits = group.come(1, '', ['returns']);
  await settled();
  const newer = group.come(1, '', ['returns']);
  expect(errorIn(await waits.promise)).toBe('FENCED_INSTANCE_ID');
  await group.come(0, group.ids[0]).promise;
  expect(errorIn(await newer.promise)).toBe('NONE');
});

test('an absent static member keeps its place in a rebalance until its session ends', async () => {
  const group = await new Tills().open();
  const [first] = group.ids;
  const rejoin = { memberId: first ?? '', groupInstanceId: 'till-0', sessionTimeoutMs: 60_000 };
  const again = group.join({ ...rejoin, rebalanceTimeoutMs: SESSION_MS / 2 });
  await group.clock.pass(SESSION_MS / 2);
  expect(again.outcome).toBeUndefined();
  await group.clock.pass(SESSION_MS / 2);
  const joined = await again.promise;
  expect(joined).toMatchObject({ generation: group.generation + 1 });
  expect(group.described.members).toHaveLength(1);
});

test('of absent static members only, nobody ends the rebalance but their sessions', async () => {
  const group = await new Tills().open();
  group.leave('', 'till-0');
  await group.clock.pass(SESSION_MS - 1);
  expect(group.described).toMatchObject({ state: 'PreparingRebalance' });
  await group.clock.pass(REBALANCE_MS);
  expect(group.described).toMatchObject({ state: 'Empty', members: [] });
});

test('a static member leaves by its instance id', async () => {
  const group = await new Tills().open();
  const { coordinator, ids } = group;
  const rows = [
    { memberId: '', groupInstanceId: 'till-9', reason: null },
    { memberId: ids[0] ?? '', groupInstanceId: 'till-1', reason: null },
    { memberId: '', groupInstanceId: 'till-0', reason: null },
    { memberId: ids[1] ?? '', groupInstanceId: 'till-1', reason: null },
  ];
  const left = coordinator.leave({ groupId: 'billing', members: rows });
  expect(left.members.map(errorIn)).toEqual([
    ...['UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID', 'NONE', 'NONE'],
  ]);
  const heartbeat = { groupId: 'billing', memberId: 'x', generation: 1, groupInstanceId: 'till-0' };
  expect(outcomeOf(() => coordinator.heartbeat(heartbeat))).toBe('UNKNOWN_MEMBER_ID');
});
