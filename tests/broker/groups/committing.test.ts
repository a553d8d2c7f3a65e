import { describe, expect, test } from '@jest/globals';
import { ProtocolError } from '@millrace/protocol';
import { settled } from './support/fake-clock.js';
import {
  errorIn,
  GROUP,
  nobody,
  refusal,
  SESSION_MS,
  TestGroup,
  TOPIC,
  TOPIC_ID,
} from './support/test-group.js';
import type { Joined } from './support/test-group.js';

const OTHER_ID = 'b'.repeat(32);

/** A Stable group of two: the first has partition 0, the second 1. */
async function owners(config = {}): Promise<{ group: TestGroup; first: Joined; second: Joined }> {
  const group = new TestGroup(config);
  const [first = nobody, second = nobody] = await group.stable(2, [[0], [1]]);
  return { group, first, second };
}

async function rowOf(commit: ReturnType<TestGroup['commit']>): Promise<string> {
  return errorIn((await commit).entries[0]);
}

describe('a commit', () => {
  test('of a member is answered when it is durable, and not in memory before', async () => {
    const { group, first } = await owners();
    group.store.hold();
    let answered = false;
    const commit = group.commit(first, 0, 5, { metadata: 'note' }).finally(() => {
      answered = true;
    });
    await settled();
    expect([answered, group.committed(0)]).toEqual([false, -1]);
    group.store.release();
    expect(errorIn((await commit).entries[0])).toBe('NONE');
    const fetched = group.coordinator.fetch({ groupId: GROUP, entries: null });
    expect(fetched.entries).toEqual([
      {
        ...{ topicId: TOPIC_ID, topic: TOPIC, partition: 0, errorCode: 0, errorMessage: null },
        ...{ offset: 5, leaderEpoch: 0, metadata: 'note', commitTimeMs: group.clock.nowMs() },
      },
    ]);
  });

  test('is refused from who is no member, or of another generation', async () => {
    const { group, first } = await owners();
    const { memberId, generation } = first;
    const unknown = { memberId: 'x', generation };
    expect(await refusal(group.commit(unknown, 0, 5))).toBe('UNKNOWN_MEMBER_ID');
    for (const other of [generation - 1, generation + 1, -1]) {
      const stale = { memberId, generation: other };
      expect(await refusal(group.commit(stale, 0, 5))).toBe('ILLEGAL_GENERATION');
    }
    const nameless = { memberId: '', generation };
    expect(await refusal(group.commit(nameless, 0, 5))).toBe('UNKNOWN_MEMBER_ID');
    expect(group.committed(0)).toBe(-1);
  });

  test('for a partition of another member is refused, and says whose it is', async () => {
    const { group, first, second } = await owners();
    const { entries } = await group.commit(first, 1, 5);
    expect(errorIn(entries[0])).toBe('NOT_PARTITION_OWNER');
    expect(entries[0]?.errorMessage).toContain(`orders-1 is assigned to ${second.memberId}`);
    expect(group.committed(1)).toBe(-1);
  });

  test('for a partition that nobody has in this generation is taken', async () => {
    const { group, first } = await owners();
    expect(await rowOf(group.commit(first, 2, 5))).toBe('NONE');
  });

  test('for a partition of a member that is out waits for the next generation', async () => {
    const { group, first, second } = await owners();
    group.leave(second.memberId);
    expect(await rowOf(group.commit(first, 1, 5))).toBe('NOT_PARTITION_OWNER');
  });

  test('while the group prepares a rebalance is taken from those who have not joined', async () => {
    const { group, first } = await owners();
    await group.enter();
    expect(group.heartbeat(first)).toBe('REBALANCE_IN_PROGRESS');
    expect(await rowOf(group.commit(first, 0, 5))).toBe('NONE');
  });

  test('between join and sync is refused', async () => {
    const { group, first, second } = await owners();
    const joins = [first, second].map(({ memberId }) => group.join({ memberId }));
    await Promise.all(joins.map(({ promise }) => promise));
    const now = { memberId: first.memberId, generation: first.generation + 1 };
    expect(await refusal(group.commit(now, 0, 5))).toBe('REBALANCE_IN_PROGRESS');
    expect(await refusal(group.commit(first, 0, 5))).toBe('ILLEGAL_GENERATION');
  });

  test('counts as a heartbeat', async () => {
    const { group, first } = await owners();
    for (let beat = 0; beat < 4; beat += 1) {
      await group.clock.pass(SESSION_MS / 2);
      expect(await rowOf(group.commit(first, 0, beat))).toBe('NONE');
    }
  });

  test('has a row of its own for what is wrong with a partition', async () => {
    const { group, first } = await owners({ offsetMetadataMaxBytes: 4 });
    const row = { topicId: TOPIC_ID, partition: 0, offset: 5, leaderEpoch: -1, metadata: null };
    const entries = [
      { ...row, topicId: OTHER_ID },
      { ...row, partition: 8 },
      { ...row, metadata: 'éé!' },
      { ...row, metadata: 'éé' },
    ];
    const request = { groupId: GROUP, ...first, groupInstanceId: null, entries };
    const answered = await group.coordinator.commit(request);
    expect(answered.entries.map(errorIn)).toEqual([
      ...['UNKNOWN_TOPIC_ID', 'UNKNOWN_TOPIC_OR_PARTITION', 'OFFSET_METADATA_TOO_LARGE', 'NONE'],
    ]);
    expect(group.committed(0)).toBe(5);
  });

  test('that cannot be stored says why in its rows, and changes nothing', async () => {
    const { group, first } = await owners();
    await group.commit(first, 0, 5);
    group.store.failures = 1;
    expect(await rowOf(group.commit(first, 0, 6))).toBe('DISK_FULL');
    expect(group.committed(0)).toBe(5);
  });

  test('of nobody in particular is taken while the group is empty or not there', async () => {
    const group = new TestGroup();
    expect(await rowOf(group.commit(nobody, 0, 5))).toBe('NONE');
    expect(group.coordinator.groupCount).toBe(1);
    const [member = nobody] = await group.stable(1);
    expect(await refusal(group.commit(nobody, 0, 1))).toBe('NON_EMPTY_GROUP');
    group.leave(member.memberId);
    await settled();
    expect(await rowOf(group.commit(nobody, 0, 2))).toBe('NONE');
    expect(group.committed(0)).toBe(2);
  });

  test('of nobody in particular counts against maxGroups', async () => {
    const group = new TestGroup({ maxGroups: 1 });
    const commit = (groupId: string): Promise<unknown> =>
      group.coordinator.commit({
        ...{ groupId, ...nobody, groupInstanceId: null },
        entries: [{ topicId: TOPIC_ID, partition: 0, offset: 1, leaderEpoch: -1, metadata: null }],
      });
    await commit('one');
    await commit('one');
    await expect(commit('two')).rejects.toThrow('maxGroups of 1');
  });
});

describe('a fetch of offsets', () => {
  test('says -1 where nothing was committed', async () => {
    const { group, first } = await owners();
    await group.commit(first, 0, 5);
    const entries = [0, 1].map((partition) => ({ topicId: TOPIC_ID, partition }));
    const { entries: rows } = group.coordinator.fetch({ groupId: GROUP, entries });
    expect(rows.map(({ offset }) => offset)).toEqual([5, -1]);
    expect(rows[1]).toMatchObject({ leaderEpoch: -1, metadata: null, commitTimeMs: -1 });
    const none = group.coordinator.fetch({ groupId: 'unknown', entries: null });
    expect(none.entries).toEqual([]);
  });

  test('names no topic that is no more', async () => {
    const { group, first } = await owners();
    await group.commit(first, 0, 5);
    group.topics.clear();
    const { entries } = group.coordinator.fetch({ groupId: GROUP, entries: null });
    expect(entries).toMatchObject([{ topicId: TOPIC_ID, topic: '', offset: 5 }]);
  });

  test('of no group is refused', () => {
    const { coordinator } = new TestGroup();
    expect(() => coordinator.fetch({ groupId: '', entries: null })).toThrow(ProtocolError);
  });
});
