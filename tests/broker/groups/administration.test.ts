import { describe, expect, test } from '@jest/globals';
import { settled } from './support/fake-clock.js';
import {
  assigned,
  errorIn,
  GROUP,
  nobody,
  refusal,
  subscribed,
  TestGroup,
  TOPIC,
  TOPIC_ID,
} from './support/test-group.js';

const OTHER_ID = 'b'.repeat(32);
const HOUR_MS = 3_600_000;

describe('describe', () => {
  test('shows members, where they are, and what they were given', async () => {
    const group = new TestGroup();
    const [member = nobody] = await group.stable(1, [[0, 1]]);
    expect(group.described).toEqual({
      ...{ errorCode: 0, errorMessage: null, groupId: GROUP, state: 'Stable', coordinator: 1 },
      ...{ protocolType: 'consumer', protocolName: 'range', generation: member.generation },
      members: [
        {
          ...{ memberId: member.memberId, groupInstanceId: null, clientId: 'app' },
          ...{ clientHost: '10.0.0.7:5000', metadata: subscribed([TOPIC]) },
          assignment: assigned([0, 1]),
        },
      ],
    });
    await group.enter();
    expect(group.described.members[0]?.assignment).toHaveLength(0);
  });

  test('knows a group that only has offsets, and no other', async () => {
    const group = new TestGroup();
    await group.commit(nobody, 0, 1);
    expect(group.described).toMatchObject({ errorCode: 0, state: 'Empty', members: [] });
    const [unknown] = group.coordinator.describe({ groupIds: ['x'] }).groups;
    expect(errorIn(unknown)).toBe('GROUP_ID_NOT_FOUND');
    expect(unknown).toMatchObject({ state: 'Dead', generation: -1 });
  });
});

test('list finds groups by their state', async () => {
  const group = new TestGroup();
  await group.stable(1);
  await group.coordinator.commit({
    ...{ groupId: 'tool', ...nobody, groupInstanceId: null },
    entries: [{ topicId: TOPIC_ID, partition: 0, offset: 1, leaderEpoch: -1, metadata: null }],
  });
  const stable = { groupId: GROUP, protocolType: 'consumer', state: 'Stable', memberCount: 1 };
  const tool = { groupId: 'tool', protocolType: '', state: 'Empty', memberCount: 0 };
  const list = (states: string[]): unknown => group.coordinator.list({ states, after: '' }).groups;
  expect(list([])).toEqual([stable, tool]);
  expect(list(['Stable'])).toEqual([stable]);
  expect(list(['Empty'])).toEqual([tool]);
  expect(list(['Broken'])).toEqual([]);
});

describe('delete', () => {
  test('takes a group that nobody is in, with its offsets', async () => {
    const group = new TestGroup();
    const [member = nobody] = await group.stable(1);
    await group.commit(member, 0, 5);
    const groupIds = [GROUP, 'x'];
    const refused = await group.coordinator.delete({ groupIds });
    expect(refused.groups.map(errorIn)).toEqual(['NON_EMPTY_GROUP', 'GROUP_ID_NOT_FOUND']);
    group.leave(member.memberId);
    const deleted = await group.coordinator.delete({ groupIds: [GROUP, GROUP] });
    expect(deleted.groups.map(errorIn)).toEqual(['NONE', 'GROUP_ID_NOT_FOUND']);
    expect([group.committed(0), group.coordinator.groupCount]).toEqual([-1, 0]);
  });

  test('keeps joins and commits off until it is durable', async () => {
    const group = new TestGroup();
    await group.commit(nobody, 0, 5);
    group.store.hold();
    const deletion = group.coordinator.delete({ groupIds: [GROUP] });
    await settled();
    expect(errorIn(await group.join().promise)).toBe('COORDINATOR_NOT_AVAILABLE');
    expect(await refusal(group.commit(nobody, 0, 5))).toBe('COORDINATOR_NOT_AVAILABLE');
    expect(errorIn(group.described)).toBe('GROUP_ID_NOT_FOUND');
    group.store.release();
    expect((await deletion).groups.map(errorIn)).toEqual(['NONE']);
    expect(errorIn(await group.join().promise)).toBe('MEMBER_ID_REQUIRED');
  });

  test('that fails leaves the group as it was', async () => {
    const group = new TestGroup();
    const [member = nobody] = await group.stable(1);
    await group.commit(member, 0, 5);
    group.leave(member.memberId);
    await settled();
    group.store.failures = 1;
    const { groups } = await group.coordinator.delete({ groupIds: [GROUP] });
    expect(groups.map(errorIn)).toEqual(['DISK_FULL']);
    expect(group.described).toMatchObject({ state: 'Empty', generation: 2 });
    expect(group.committed(0)).toBe(5);
  });
});

describe('deleting offsets', () => {
  const both = [TOPIC_ID, OTHER_ID].map((topicId) => ({ topicId, partition: 0 }));

  test('spares the topics that an active group consumes', async () => {
    const group = new TestGroup();
    group.topics.set(OTHER_ID, { name: 'returns', partitions: 1 });
    const [member = nobody] = await group.stable(1);
    await group.commit(member, 0, 5);
    await group.commit(member, 0, 6, { topicId: OTHER_ID });
    const request = { groupId: GROUP, entries: both };
    const first = await group.coordinator.deleteOffsets(request);
    expect(first.entries.map(errorIn)).toEqual(['GROUP_SUBSCRIBED_TO_TOPIC', 'NONE']);
    expect(group.store.allCommitted(GROUP)).toHaveLength(1);
    group.leave(member.memberId);
    const second = await group.coordinator.deleteOffsets(request);
    expect(second.entries.map(errorIn)).toEqual(['NONE', 'NONE']);
    expect(group.store.hasOffsets(GROUP)).toBe(false);
  });

  test('of an active group that is not of consumers is refused', async () => {
    const group = new TestGroup();
    await group.stable(1, [], { protocolType: 'connect' });
    const { entries } = await group.coordinator.deleteOffsets({ groupId: GROUP, entries: both });
    expect(entries.map(errorIn)).toEqual(['NON_EMPTY_GROUP', 'NON_EMPTY_GROUP']);
  });

  test('of an unknown group is refused', async () => {
    const { coordinator } = new TestGroup();
    const deletion = coordinator.deleteOffsets({ groupId: 'x', entries: both });
    expect(await refusal(deletion)).toBe('GROUP_ID_NOT_FOUND');
  });
});

describe('offsets', () => {
  const config = { offsetsRetentionMs: HOUR_MS };

  test('of an empty group go when it has been empty for the retention time', async () => {
    const group = new TestGroup(config);
    const [member = nobody] = await group.stable(1);
    await group.commit(member, 0, 5);
    for (let passedMs = 0; passedMs < 2 * HOUR_MS; passedMs += 9_000) {
      group.heartbeat(member);
      await group.clock.pass(9_000);
    }
    await group.coordinator.expireOffsets();
    expect(group.committed(0)).toBe(5);
    group.leave(member.memberId);
    await group.clock.pass(HOUR_MS - 1);
    await group.coordinator.expireOffsets();
    expect(group.committed(0)).toBe(5);
    await group.clock.pass(1);
    await group.coordinator.expireOffsets();
    expect([group.committed(0), group.coordinator.groupCount]).toEqual([-1, 0]);
    expect(group.store.groups.size).toBe(0);
  });

  test('that were set since the group is empty count from then on', async () => {
    const group = new TestGroup(config);
    const [member = nobody] = await group.stable(1);
    await group.commit(member, 0, 5);
    group.leave(member.memberId);
    await group.clock.pass(HOUR_MS / 2);
    await group.commit(nobody, 1, 6);
    await group.clock.pass(HOUR_MS / 2);
    await group.coordinator.expireOffsets();
    expect([group.committed(0), group.committed(1)]).toEqual([-1, 6]);
  });

  test('of a group that never had members go by their own age', async () => {
    const group = new TestGroup(config);
    await group.commit(nobody, 0, 5);
    await group.clock.pass(HOUR_MS / 2);
    await group.commit(nobody, 1, 6);
    await group.clock.pass(HOUR_MS / 2);
    await group.coordinator.expireOffsets();
    expect([group.committed(0), group.committed(1)]).toEqual([-1, 6]);
    await group.clock.pass(HOUR_MS / 2);
    await group.coordinator.expireOffsets();
    expect(group.coordinator.groupCount).toBe(0);
  });

  test('that are being committed keep their group', async () => {
    const group = new TestGroup(config);
    const [member = nobody] = await group.stable(1);
    group.leave(member.memberId);
    await group.clock.pass(2 * HOUR_MS);
    group.store.hold();
    const commit = group.commit(nobody, 0, 5);
    const expiry = group.coordinator.expireOffsets();
    group.store.release();
    await Promise.all([commit, expiry]);
    expect(group.committed(0)).toBe(5);
  });

  test('whose removal fails are removed the next time', async () => {
    const group = new TestGroup(config);
    await group.commit(nobody, 0, 5);
    await group.clock.pass(HOUR_MS);
    group.store.failures = 1;
    await group.coordinator.expireOffsets();
    expect(group.committed(0)).toBe(5);
    await group.coordinator.expireOffsets();
    expect(group.committed(0)).toBe(-1);
  });

  test('in a topic that was deleted go, in all groups', async () => {
    const group = new TestGroup();
    group.topics.set(OTHER_ID, { name: 'returns', partitions: 1 });
    await group.commit(nobody, 0, 5);
    await group.commit(nobody, 0, 6, { topicId: OTHER_ID });
    group.coordinator.topicDeleted(TOPIC_ID);
    await settled();
    expect(group.store.allCommitted(GROUP)).toMatchObject([{ topicId: OTHER_ID }]);
  });
});

test('an empty group without offsets disappears', async () => {
  const group = new TestGroup();
  const [member = nobody] = await group.stable(1);
  group.leave(member.memberId);
  await settled();
  expect(group.coordinator.groupCount).toBe(1);
  await group.coordinator.expireOffsets();
  expect([group.coordinator.groupCount, group.store.groups.size]).toEqual([0, 0]);
});
