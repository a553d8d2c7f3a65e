import { describe, expect, test } from '@jest/globals';
import {
  createTopicsApi,
  deleteGroupsApi,
  deleteTopicsApi,
  describeGroupsApi,
  fetchApi,
  findCoordinatorApi,
  heartbeatApi,
  joinGroupApi,
  leaveGroupApi,
  listGroupsApi,
  metadataApi,
  offsetCommitApi,
  offsetDeleteApi,
  offsetFetchApi,
  produceApi,
  syncGroupApi,
} from '@millrace/protocol';
import type { JoinGroupRequest, JoinGroupResponse } from '@millrace/protocol';
import { batchOf, until } from '../support/raw-client.js';
import type { RawClient } from '../support/raw-client.js';
import { temporaryDirectory, testBroker, testClient } from '../support/temporary.js';

const MEMBER_ID_REQUIRED = 79;

function joinOf(memberId: string, more: Partial<JoinGroupRequest> = {}): JoinGroupRequest {
  return {
    ...{ groupId: 'g', memberId, groupInstanceId: null, clientId: 'test' },
    ...{ sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 60_000, protocolType: 'test' },
    protocols: [{ name: 'p', metadata: Buffer.from(`of ${memberId}`) }],
    ...more,
  };
}

/** The id that a first join is given. */
async function memberIdOf(client: RawClient): Promise<string> {
  const { response } = await client.call(joinGroupApi, joinOf(''));
  expect(response).toMatchObject({ errorCode: MEMBER_ID_REQUIRED });
  return response.memberId;
}

const syncOf = (
  { memberId, generation }: Pick<JoinGroupResponse, 'memberId' | 'generation'>,
  assignments: readonly { memberId: string; assignment: Buffer }[] = [],
): Parameters<typeof syncGroupApi.encodeRequest>[0] => ({
  ...{ groupId: 'g', memberId, generation, groupInstanceId: null },
  ...{ protocolType: 'test', protocolName: 'p', assignments },
});

const commitOf = (
  member: Pick<JoinGroupResponse, 'memberId' | 'generation'> | undefined,
  topicId: string,
  offsets: readonly number[],
): Parameters<typeof offsetCommitApi.encodeRequest>[0] => ({
  ...{ groupId: 'g', groupInstanceId: null },
  ...{ memberId: member?.memberId ?? '', generation: member?.generation ?? -1 },
  entries: offsets.map((offset, partition) => ({
    ...{ topicId, partition, offset, leaderEpoch: 0, metadata: `at ${offset}` },
  })),
});

/** Joins alone, and is assigned something. */
async function joinAlone(client: RawClient): Promise<JoinGroupResponse> {
  const memberId = await memberIdOf(client);
  const { response: joined } = await client.call(joinGroupApi, joinOf(memberId));
  expect(joined).toMatchObject({ errorCode: 0, leaderId: memberId, memberId });
  const assignments = [{ memberId, assignment: Buffer.from('all') }];
  const { response } = await client.call(syncGroupApi, syncOf(joined, assignments));
  expect(response.assignment.toString()).toBe('all');
  return joined;
}

const heartbeatOf = ({
  memberId,
  generation,
}: Pick<JoinGroupResponse, 'memberId' | 'generation'>): Parameters<
  typeof heartbeatApi.encodeRequest
>[0] => ({
  ...{ groupId: 'g', memberId, generation, groupInstanceId: null },
});

describe('a group of two', () => {
  test('joins, is assigned, lives, commits, reads what it committed, and leaves', async () => {
    const broker = await testBroker();
    const [one, two] = [await testClient(broker), await testClient(broker)];
    const topicId = await one.createTopic('t', 2);
    const first = await joinAlone(one);
    const secondId = await memberIdOf(two);
    const secondJoin = two.post(joinGroupApi, joinOf(secondId));
    await until(() => two.socket.writableLength === 0);
    // The member that is in has to come back before the other gets its answer.
    const rejoinNeeded = async (): Promise<boolean> => {
      try {
        await one.call(heartbeatApi, heartbeatOf(first));
        return false;
      } catch (error) {
        expect(error).toMatchObject({ errorName: 'REBALANCE_IN_PROGRESS' });
        return true;
      }
    };
    while (!(await rejoinNeeded()));
    const { response: leader } = await one.call(joinGroupApi, joinOf(first.memberId));
    const { response: follower } = await two.answerTo(joinGroupApi, secondJoin);
    expect(leader.generation).toBe(first.generation + 1);
    expect(leader.members.map(({ memberId, metadata }) => [memberId, metadata.toString()])).toEqual(
      [
        [first.memberId, `of ${first.memberId}`],
        [secondId, `of ${secondId}`],
      ],
    );
    expect(follower).toMatchObject({ errorCode: 0, generation: leader.generation, members: [] });

    const followerSync = two.post(syncGroupApi, syncOf(follower));
    const assignments = leader.members.map(({ memberId }, n) => ({
      memberId,
      assignment: Buffer.from(`part ${n}`),
    }));
    const { response: ofLeader } = await one.call(syncGroupApi, syncOf(leader, assignments));
    const { response: ofFollower } = await two.answerTo(syncGroupApi, followerSync);
    expect([ofLeader, ofFollower].map(({ assignment }) => assignment.toString())).toEqual([
      'part 0',
      'part 1',
    ]);
    await one.call(heartbeatApi, heartbeatOf(leader));

    const { response: committed } = await two.call(
      offsetCommitApi,
      commitOf(follower, topicId, [10, 20, 30]),
    );
    expect(committed.entries.map(({ errorCode }) => errorCode)).toEqual([0, 0, 3]);
    const wanted = [1, 0].map((partition) => ({ topicId, partition }));
    const { response: fetched } = await one.call(offsetFetchApi, { groupId: 'g', entries: wanted });
    expect(fetched.entries).toMatchObject([
      { topic: 't', partition: 1, offset: 20, metadata: 'at 20', errorCode: 0 },
      { topic: 't', partition: 0, offset: 10, metadata: 'at 10', errorCode: 0 },
    ]);

    const { response: described } = await one.call(describeGroupsApi, { groupIds: ['g', 'none'] });
    expect(described.groups).toMatchObject([
      { errorCode: 0, groupId: 'g', state: 'Stable', protocolName: 'p', coordinator: 0 },
      { errorCode: 69, groupId: 'none' },
    ]);
    expect(described.groups[0]?.members).toMatchObject([
      { clientId: 'test', clientHost: '127.0.0.1', assignment: Buffer.from('part 0') },
      { clientId: 'test', clientHost: '127.0.0.1', assignment: Buffer.from('part 1') },
    ]);

    const members = leader.members.map(({ memberId }) => ({
      ...{ memberId, groupInstanceId: null, reason: 'the test is over' },
    }));
    const { response: left } = await one.call(leaveGroupApi, { groupId: 'g', members });
    expect(left.members.map(({ errorCode }) => errorCode)).toEqual([0, 0]);
    const { response: listed } = await one.call(listGroupsApi, { states: ['Empty'], after: '' });
    expect(listed.groups).toMatchObject([{ groupId: 'g', state: 'Empty', memberCount: 0 }]);
  });

  test('a join ends with its connection, and the others go on without it', async () => {
    const broker = await testBroker();
    const [one, two] = [await testClient(broker), await testClient(broker)];
    const first = await joinAlone(one);
    const secondId = await memberIdOf(two);
    two.post(joinGroupApi, joinOf(secondId));
    for (;;) {
      const beat = one.call(heartbeatApi, heartbeatOf(first));
      if (
        await beat.then(
          () => false,
          () => true,
        )
      )
        break;
    }
    await two.close();
    // What a closing connection is told: no answer of a rebalance that is still under way.
    const three = await testClient(broker);
    const thirdJoin = three.post(joinGroupApi, joinOf(await memberIdOf(three)));
    three.socket.end();
    const { response } = await three.answerTo(joinGroupApi, thirdJoin);
    expect(response).toMatchObject({ errorCode: 1007 });
    const { response: again } = await one.call(
      joinGroupApi,
      joinOf(first.memberId, { rebalanceTimeoutMs: 1 }),
    );
    expect(again).toMatchObject({ errorCode: 0, generation: first.generation + 1 });
  });
});

describe('a restart of the broker', () => {
  test('keeps generation, members and offsets: the next heartbeat and commit succeed', async () => {
    const dataDir = temporaryDirectory();
    const broker = await testBroker({ dataDir });
    const client = await testClient(broker);
    const topicId = await client.createTopic('t', 2);
    const member = await joinAlone(client);
    await client.call(offsetCommitApi, commitOf(member, topicId, [5, 6]));
    await broker.close();
    const after = await testClient(await testBroker({ dataDir }));
    await after.call(heartbeatApi, heartbeatOf(member));
    const { response } = await after.call(offsetFetchApi, { groupId: 'g', entries: null });
    const byPartition = [...response.entries].sort((a, b) => a.partition - b.partition);
    expect(byPartition.map(({ topic, offset }) => [topic, offset])).toEqual([
      ['t', 5],
      ['t', 6],
    ]);
    const { response: committed } = await after.call(
      offsetCommitApi,
      commitOf(member, topicId, [7, 8]),
    );
    expect(committed.entries.map(({ errorCode }) => errorCode)).toEqual([0, 0]);
    const { response: synced } = await after.call(syncGroupApi, syncOf(member));
    expect(synced.assignment.toString()).toBe('all');
  });
});

describe('tools', () => {
  test('set, delete and read offsets of a group that nobody is in, and delete it', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t', 2);
    await client.call(offsetCommitApi, commitOf(undefined, topicId, [1, 2]));
    const entries = [{ topicId, partition: 0 }];
    const { response: removed } = await client.call(offsetDeleteApi, { groupId: 'g', entries });
    expect(removed.entries).toMatchObject([{ errorCode: 0, partition: 0 }]);
    const fetchAll = async (): Promise<unknown[]> => {
      const { response } = await client.call(offsetFetchApi, { groupId: 'g', entries: null });
      return response.entries.map(({ partition, offset }) => [partition, offset]);
    };
    expect(await fetchAll()).toEqual([[1, 2]]);
    const { response: deleted } = await client.call(deleteGroupsApi, { groupIds: ['g', 'none'] });
    expect(deleted.groups.map(({ errorCode }) => errorCode)).toEqual([0, 69]);
    expect(await fetchAll()).toEqual([]);
  });

  test('a topic that is deleted takes its offsets along', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t', 2);
    const keptId = await client.createTopic('kept', 1);
    await client.call(offsetCommitApi, commitOf(undefined, topicId, [1, 2]));
    await client.call(offsetCommitApi, commitOf(undefined, keptId, [3]));
    await client.call(deleteTopicsApi, { names: ['t'], timeoutMs: 10_000 });
    const { response } = await client.call(offsetFetchApi, { groupId: 'g', entries: null });
    expect(response.entries.map(({ topic }) => topic)).toEqual(['kept']);
  });

  test('are refused repeated groups', async () => {
    const client = await testClient(await testBroker());
    const twice = { groupIds: ['g', 'g'] };
    const refusal = {
      errorName: 'INVALID_REQUEST',
      message: expect.stringContaining('group "g" is named more than once'),
    };
    await expect(client.call(describeGroupsApi, twice)).rejects.toMatchObject(refusal);
    await expect(client.call(deleteGroupsApi, twice)).rejects.toMatchObject(refusal);
  });
});

describe('the coordinator is', () => {
  test('the address that was dialled, unless another one is advertised', async () => {
    const dialled = await testClient(await testBroker());
    const { response } = await dialled.call(findCoordinatorApi, { groupId: 'g' });
    expect(response).toEqual({ nodeId: 0, host: '', port: 0 });
    const broker = await testBroker({ advertisedListen: 'broker.example:7070' });
    const advertised = await testClient(broker);
    const { response: other } = await advertised.call(findCoordinatorApi, { groupId: 'g' });
    expect(other).toEqual({ nodeId: 0, host: 'broker.example', port: 7070 });
  });
});

describe('__offsets', () => {
  const refused = { errorCode: 44, errorMessage: expect.stringContaining('through the APIs of') };

  test('is not for clients to make, to delete or to write to, but to read', async () => {
    const client = await testClient(await testBroker());
    const spec = { name: '__offsets', partitions: 1, config: [] };
    const { response: created } = await client.call(createTopicsApi, {
      ...{ topics: [spec], timeoutMs: 10_000 },
    });
    expect(created.topics).toMatchObject([refused]);
    const topicId = await client.createTopic('t');
    await client.call(offsetCommitApi, commitOf(undefined, topicId, [1]));
    const { response: deleted } = await client.call(deleteTopicsApi, {
      ...{ names: ['__offsets'], timeoutMs: 10_000 },
    });
    expect(deleted.topics).toMatchObject([refused]);
    const { response: known } = await client.call(metadataApi, { topics: ['__offsets'] });
    const offsetsId = known.topics[0]?.topicId ?? '';
    const batch = batchOf('by hand');
    const { response: produced } = await client.call(
      produceApi,
      {
        ...{ acks: -1, timeoutMs: 10_000 },
        entries: [{ topicId: offsetsId, partition: 0, byteLength: batch.length }],
      },
      batch,
    );
    expect(produced.entries).toMatchObject([refused]);
    const { response: read } = await client.call(fetchApi, {
      ...{ maxWaitMs: 0, minBytes: 1, maxBytes: 1_000 },
      entries: [{ topicId: offsetsId, partition: 0, offset: 0, maxBytes: 1_000 }],
    });
    expect(read.entries[0]?.byteLength).toBeGreaterThan(0);
  });
});
