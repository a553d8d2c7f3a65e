import { describe, expect, test } from '@jest/globals';
import { settled } from './support/fake-clock.js';
import { errorIn, GROUP, SESSION_MS, subscribed, TestGroup, TOPIC } from './support/test-group.js';

const protocol = (name: string): { name: string; metadata: Buffer } => ({
  name,
  metadata: subscribed([TOPIC]),
});

describe('the first join', () => {
  test('without a member id is told one to come back with', async () => {
    const group = new TestGroup();
    const { memberId, ...response } = await group.join({ clientId: 'app' }).promise;
    expect(errorIn(response)).toBe('MEMBER_ID_REQUIRED');
    expect(memberId).toBe('app-1');
    expect(group.described.members).toEqual([]);
  });

  test('with the id makes a generation of one at once, with itself as the leader', async () => {
    const group = new TestGroup();
    const { memberId, join } = await group.enter();
    expect(join.outcome).toMatchObject({
      ...{ errorCode: 0, generation: 1, leaderId: memberId, memberId },
      ...{ protocolType: 'consumer', protocolName: 'range' },
      members: [{ memberId, groupInstanceId: null }],
    });
    expect(group.described.state).toBe('CompletingRebalance');
  });

  test('of a static member needs no second one', async () => {
    const { promise } = new TestGroup().join({ groupInstanceId: 'till-1' });
    await expect(promise).resolves.toMatchObject({ errorCode: 0, memberId: 'till-1-1' });
  });

  test('whose id is not used within the session timeout leaves nothing behind', async () => {
    const group = new TestGroup();
    const { memberId } = await group.join().promise;
    await group.clock.pass(SESSION_MS);
    expect(errorIn(await group.join({ memberId }).promise)).toBe('UNKNOWN_MEMBER_ID');
    expect(group.coordinator.groupCount).toBe(0);
    expect(group.clock.pendingTimers).toBe(0);
  });

  test('with an id that the broker did not give is refused', async () => {
    const group = new TestGroup();
    expect(errorIn(await group.join({ memberId: 'made-up' }).promise)).toBe('UNKNOWN_MEMBER_ID');
  });
});

describe('a join is refused', () => {
  test.each([999, 1_800_001, -1])('for a session timeout of %i ms', async (sessionTimeoutMs) => {
    const response = await new TestGroup().join({ sessionTimeoutMs }).promise;
    expect(errorIn(response)).toBe('INVALID_SESSION_TIMEOUT');
    expect(response.errorMessage).toContain('from 1000 to 1800000 ms');
  });

  test.each([0, -1, 1_800_001])('for a rebalance timeout of %i ms', async (rebalanceTimeoutMs) => {
    const response = await new TestGroup().join({ rebalanceTimeoutMs }).promise;
    expect(errorIn(response)).toBe('INVALID_REQUEST');
    expect(response.errorMessage).toContain('from 1 to 1800000 ms');
  });

  test.each(['', 'g'.repeat(250)])('for a group id of the wrong length', async (groupId) => {
    expect(errorIn(await new TestGroup().join({ groupId }).promise)).toBe('INVALID_GROUP_ID');
  });

  test.each(['', 'i'.repeat(250)])('for an instance id of the wrong length', async (id) => {
    const response = await new TestGroup().join({ groupInstanceId: id }).promise;
    expect(errorIn(response)).toBe('INVALID_REQUEST');
  });

  test('without a protocol, or with one twice', async () => {
    const group = new TestGroup();
    expect(errorIn(await group.join({ protocols: [] }).promise)).toBe(
      'INCONSISTENT_GROUP_PROTOCOL',
    );
    expect(errorIn(await group.join({ protocolType: '' }).promise)).toBe(
      'INCONSISTENT_GROUP_PROTOCOL',
    );
    const twice = [protocol('range'), protocol('range')];
    expect(errorIn(await group.join({ protocols: twice }).promise)).toBe('INVALID_REQUEST');
    expect(group.coordinator.groupCount).toBe(0);
  });

  test('with names that are too long', async () => {
    const group = new TestGroup();
    const long = 'n'.repeat(250);
    for (const fields of [
      { protocolType: long },
      { protocols: [protocol('range'), protocol(long)] },
    ]) {
      const response = await group.join(fields).promise;
      expect(errorIn(response)).toBe('INVALID_REQUEST');
      expect(response.errorMessage).toContain('has 250 characters; 249 are the most');
    }
  });

  test('with more metadata than maxGroupMetadataBytes', async () => {
    const group = new TestGroup({ maxGroupMetadataBytes: 10 });
    const response = await group.join({ protocols: [protocol('range')] }).promise;
    expect(errorIn(response)).toBe('LIMIT_EXCEEDED');
    expect(response.errorMessage).toContain('maxGroupMetadataBytes of 10');
  });

  test('with metadata of a consumer that nobody could read, whatever the protocol', async () => {
    const group = new TestGroup();
    await group.stable(1);
    const garbage = { name: 'sticky', metadata: Buffer.from('garbage') };
    const tooMany = Array.from({ length: 10_001 }, () => 't');
    const manyTopics = Buffer.alloc(2 + 4 + 3 * tooMany.length + 4);
    manyTopics.writeInt32BE(tooMany.length, 2);
    for (const broken of [garbage, { ...garbage, metadata: manyTopics }]) {
      for (const who of [{}, { groupInstanceId: 'till-1' }]) {
        const response = await group.join({ ...who, protocols: [protocol('range'), broken] })
          .promise;
        expect(errorIn(response)).toBe('INVALID_REQUEST');
        expect(response.errorMessage).toContain(
          'metadata for protocol "sticky" of a "consumer" is',
        );
      }
    }
    expect(group.described).toMatchObject({ state: 'Stable', generation: 1 });
    // What other kinds of members say is their own business.
    const connect = { groupId: 'other', protocolType: 'connect', protocols: [garbage] };
    expect(errorIn(await group.join(connect).promise)).toBe('MEMBER_ID_REQUIRED');
  });

  test('when it shares no protocol with all others, or is of another type', async () => {
    const group = new TestGroup();
    await group.stable(1, [], { protocols: [protocol('range'), protocol('sticky')] });
    const other = await group.join({ protocols: [protocol('own')] }).promise;
    expect(errorIn(other)).toBe('INCONSISTENT_GROUP_PROTOCOL');
    const connect = { protocolType: 'connect', protocols: [protocol('range')] };
    expect(errorIn(await group.join(connect).promise)).toBe('INCONSISTENT_GROUP_PROTOCOL');
    expect(group.described.state).toBe('Stable');
  });

  test('when the group has groupMaxMembers', async () => {
    const group = new TestGroup({ groupMaxMembers: 2 });
    await group.stable(2);
    expect(errorIn(await group.join().promise)).toBe('GROUP_MAX_SIZE_REACHED');
    const late = { groupInstanceId: 'late' };
    expect(errorIn(await group.join(late).promise)).toBe('GROUP_MAX_SIZE_REACHED');
    expect(group.described.members).toHaveLength(2);
  });

  test('when more ids wait to be used than the group may have members', async () => {
    const group = new TestGroup({ groupMaxMembers: 2 });
    await group.join().promise;
    await group.join().promise;
    expect(errorIn(await group.join().promise)).toBe('GROUP_MAX_SIZE_REACHED');
  });

  test('when the broker has maxGroups, those that only have offsets included', async () => {
    const group = new TestGroup({ maxGroups: 2 });
    await group.store.commit('tool', []);
    await group.stable(1);
    const third = await group.join({ groupId: 'third' }).promise;
    expect(errorIn(third)).toBe('LIMIT_EXCEEDED');
    expect(third.errorMessage).toContain('maxGroups of 2');
    expect(errorIn(await group.join({ groupId: 'tool' }).promise)).toBe('MEMBER_ID_REQUIRED');
    await group.coordinator.delete({ groupIds: ['tool'] });
    expect(errorIn(await group.join({ groupId: 'third' }).promise)).toBe('MEMBER_ID_REQUIRED');
  });
});

describe('the protocol', () => {
  test('is the one that most prefer among those that all support', async () => {
    const group = new TestGroup();
    const offers = [
      ['sticky', 'range', 'own'],
      ['range', 'sticky'],
      ['range', 'other', 'sticky'],
    ].map((names) => ({ protocols: names.map((name) => protocol(name)) }));
    const first = await group.enter(offers[0]);
    await group.enter(offers[1]);
    const third = await group.enter(offers[2]);
    const again = group.join({ ...offers[0], memberId: first.memberId });
    expect(await again.promise).toMatchObject({ protocolName: 'range', generation: 2 });
    expect(third.join.outcome).toMatchObject({ protocolName: 'range', members: [] });
  });

  test('type may change once the group is empty', async () => {
    const group = new TestGroup();
    const [member] = await group.stable(1);
    group.leave(member?.memberId ?? '');
    await settled();
    const { join } = await group.enter({ protocolType: 'connect' });
    expect(join.outcome).toMatchObject({ errorCode: 0, protocolType: 'connect', generation: 3 });
  });
});

describe('the initial rebalance delay', () => {
  test('gathers those who join meanwhile into the first generation', async () => {
    const group = new TestGroup({ groupInitialRebalanceDelayMs: 3_000 });
    const first = await group.enter();
    await group.clock.pass(2_000);
    const second = await group.enter();
    await group.clock.pass(1_000);
    expect(first.join.outcome).toBeUndefined();
    await group.clock.pass(3_000);
    expect(first.join.outcome).toMatchObject({ generation: 1, leaderId: first.memberId });
    expect(second.join.outcome).toMatchObject({ generation: 1, leaderId: first.memberId });
  });

  test('is extended for as long as members come, up to the rebalance timeout', async () => {
    const group = new TestGroup({ groupInitialRebalanceDelayMs: 3_000 });
    const rebalanceTimeoutMs = 7_000;
    const { join } = await group.enter({ rebalanceTimeoutMs });
    for (let passedMs = 0; passedMs < 6_000; passedMs += 2_000) {
      await group.clock.pass(2_000);
      await group.enter({ rebalanceTimeoutMs });
    }
    expect(join.outcome).toBeUndefined();
    await group.clock.pass(1_000);
    expect(join.outcome).toMatchObject({ generation: 1 });
    expect(group.described.members).toHaveLength(4);
  });
});

test('a group that nobody came back to is not described', async () => {
  const group = new TestGroup();
  await group.join().promise;
  await group.clock.pass(SESSION_MS);
  const [described] = group.coordinator.describe({ groupIds: [GROUP] }).groups;
  expect(errorIn(described)).toBe('GROUP_ID_NOT_FOUND');
});
