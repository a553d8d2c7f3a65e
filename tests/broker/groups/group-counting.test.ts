import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { testSeed } from '../../support/seed.js';
import { settled } from './support/fake-clock.js';
import { errorIn, nobody, SESSION_MS, TestGroup, TOPIC_ID } from './support/test-group.js';

const OTHER_ID = 'b'.repeat(32);

test('a topic that goes makes room for groups, whoever removes its offsets', async () => {
  for (const byStore of [true, false]) {
    const group = new TestGroup({ maxGroups: 2 });
    const commitTimeMs = group.clock.nowMs();
    const row = { topicId: TOPIC_ID, partition: 0, offset: 1, leaderEpoch: 0, metadata: null };
    await group.store.commit('a', [{ ...row, commitTimeMs }]);
    await group.store.commit('b', [{ ...row, commitTimeMs }]);
    expect(errorIn(await group.join({ groupId: 'c' }).promise)).toBe('LIMIT_EXCEEDED');
    if (byStore) group.store.forgetTopic(TOPIC_ID);
    group.coordinator.topicDeleted(TOPIC_ID);
    await settled();
    expect(group.coordinator.groupCount).toBe(0);
    expect(errorIn(await group.join({ groupId: 'c' }).promise)).toBe('MEMBER_ID_REQUIRED');
  }
});

/** What can make a group come or go. */
const action = fc.record({
  do: fc.constantFrom(
    'ask',
    'join',
    'leave',
    'commit',
    'remove',
    'delete',
    'forget',
    'pass',
    'restart',
  ),
  groupId: fc.constantFrom('a', 'b', 'c', 'd'),
  topicId: fc.constantFrom(TOPIC_ID, OTHER_ID),
  settle: fc.boolean(),
});

test('the number of groups is that of those there are, whatever comes and goes', async () => {
  const seed = testSeed();
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
      const group = new TestGroup();
      group.topics.set(OTHER_ID, { name: 'other', partitions: 1 });
      for (const { settle, ...each } of actions) {
        act(group, each);
        if (settle) await settled();
        else await Promise.resolve();
        const listed = group.coordinator.list({ states: [], after: '' }).groups;
        expect(group.coordinator.groupCount).toBe(listed.length);
        const { states } = group.coordinator.stats;
        expect([...states.values()].reduce((sum, count) => sum + count)).toBe(listed.length);
      }
    }),
    { seed, numRuns: 300 },
  );
});

function act(
  group: TestGroup,
  { do: what, groupId, topicId }: { do: string; groupId: string; topicId: string },
): void {
  const { coordinator, store } = group;
  const key = { topicId, partition: 0 };
  const ignore = (): undefined => undefined;
  if (what === 'ask') group.join({ groupId });
  else if (what === 'join') group.join({ groupId, groupInstanceId: 'till-1' });
  else if (what === 'leave') {
    const members = [{ memberId: '', groupInstanceId: 'till-1', reason: null }];
    coordinator.leave({ groupId, members });
  } else if (what === 'commit') {
    const entries = [{ ...key, offset: 1, leaderEpoch: 0, metadata: null }];
    const request = { groupId, ...nobody, groupInstanceId: null, entries };
    coordinator.commit(request).catch(ignore);
  } else if (what === 'remove') {
    coordinator.deleteOffsets({ groupId, entries: [key] }).catch(ignore);
  } else if (what === 'delete') void coordinator.delete({ groupIds: [groupId] });
  else if (what === 'forget') {
    store.forgetTopic(topicId);
    coordinator.topicDeleted(topicId);
  } else if (what === 'restart') group.restart();
  else void group.clock.pass(SESSION_MS);
}
