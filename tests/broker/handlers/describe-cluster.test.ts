import { expect, test } from '@jest/globals';
import { describeClusterApi, offsetCommitApi, produceApi } from '@millrace/protocol';
import { brokerVersion } from '../../../broker/src/version.js';
import { batchOf } from '../support/raw-client.js';
import { testBroker, testClient } from '../support/temporary.js';

test('describeCluster tells of the one node, and how much there is', async () => {
  const before = Date.now();
  const broker = await testBroker({ mode: 'kafka', serve: 'copy' });
  const client = await testClient(broker);
  const { response: empty } = await client.call(describeClusterApi, {});
  expect(empty).toMatchObject({ clusterId: broker.clusterId, topics: 0, groups: 0, logBytes: 0 });
  const [node] = empty.nodes;
  expect(empty.nodes).toHaveLength(1);
  // No address: clients go on with the one that they dialled.
  expect(node).toMatchObject({
    ...{ nodeId: empty.controllerId, host: '', port: 0, version: brokerVersion() },
    ...{ mode: 'kafka', persist: 'write', serve: 'copy' },
  });
  expect(node?.startedAtMs).toBeGreaterThanOrEqual(before);
  expect(node?.startedAtMs).toBeLessThanOrEqual(Date.now());

  const topicId = await client.createTopic('t', 3);
  const batch = batchOf('a');
  const entries = [{ topicId, partition: 0, byteLength: batch.length }];
  await client.call(produceApi, { acks: 1, timeoutMs: 5_000, entries }, batch);
  expect((await client.call(describeClusterApi, {})).response).toMatchObject({
    ...{ topics: 1, partitions: 3, offlinePartitions: 0, logBytes: batch.length },
  });
  const who = { groupId: 'g', memberId: '', generation: -1, groupInstanceId: null };
  const commit = { topicId, partition: 0, offset: 0, leaderEpoch: -1, metadata: null };
  await client.call(offsetCommitApi, { ...who, entries: [commit] });
  const { response } = await client.call(describeClusterApi, {});
  expect([response.groups, response.topics]).toEqual([1, 2]);
});

test('describeCluster tells the address that is advertised', async () => {
  const broker = await testBroker({ advertisedListen: 'broker.example:9000' });
  const { response } = await (await testClient(broker)).call(describeClusterApi, {});
  expect(response.nodes).toMatchObject([{ host: 'broker.example', port: 9000 }]);
});
