import { expect, test } from '@jest/globals';
import {
  deleteTopicsApi,
  encodeSubscription,
  joinGroupApi,
  listGroupsApi,
  offsetCommitApi,
} from '@millrace/protocol';
import type { JoinGroupResponse } from '@millrace/protocol';
import type { RawClient } from '../support/raw-client.js';
import { testBroker, testClient } from '../support/temporary.js';

/** What a new member of the group is told first. */
async function join(
  client: RawClient,
  groupId: string,
  metadata = encodeSubscription({
    ...{ topics: ['t'], userData: null, owned: [], generation: -1, rackId: null },
  }),
): Promise<JoinGroupResponse> {
  const { response } = await client.call(joinGroupApi, {
    ...{ groupId, memberId: '', groupInstanceId: null, clientId: 'test' },
    ...{ sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 60_000, protocolType: 'consumer' },
    protocols: [{ name: 'range', metadata }],
  });
  return response;
}

async function commit(client: RawClient, groupId: string, topicId: string): Promise<void> {
  await client.call(offsetCommitApi, {
    ...{ groupId, memberId: '', generation: -1, groupInstanceId: null },
    entries: [{ topicId, partition: 0, offset: 1, leaderEpoch: 0, metadata: null }],
  });
}

test('a broker with maxGroups takes new ones when a topic went with their offsets', async () => {
  const client = await testClient(await testBroker({ maxGroups: 2 }));
  const topicId = await client.createTopic('t');
  await commit(client, 'a', topicId);
  await commit(client, 'b', topicId);
  expect(await join(client, 'c')).toMatchObject({ errorCode: 1009 });
  await client.call(deleteTopicsApi, { names: ['t'], timeoutMs: 10_000 });
  expect(await join(client, 'c')).toMatchObject({ errorCode: 79 });
});

test('a consumer whose subscription nobody can read is told so, and joins no group', async () => {
  const client = await testClient(await testBroker());
  expect(await join(client, 'g', Buffer.from('garbage'))).toMatchObject({
    errorCode: 42,
    errorMessage: expect.stringContaining('is no subscription') as unknown,
  });
  const { response } = await client.call(listGroupsApi, { states: [], after: '' });
  expect(response).toEqual({ groups: [], more: false });
});

test('a broker with maxPendingMembers asks further ones to try again', async () => {
  const client = await testClient(await testBroker({ maxPendingMembers: 1 }));
  expect(await join(client, 'g')).toMatchObject({ errorCode: 79 });
  expect(await join(client, 'g')).toMatchObject({ errorCode: 1008 });
});

test('groups are listed from the one that is asked for on', async () => {
  const client = await testClient(await testBroker());
  const topicId = await client.createTopic('t');
  for (const groupId of ['b', 'a', 'c']) await commit(client, groupId, topicId);
  const { response } = await client.call(listGroupsApi, { states: ['Empty'], after: 'a' });
  expect(response.groups.map(({ groupId }) => groupId)).toEqual(['b', 'c']);
});
