import { describe, expect, test } from '@jest/globals';
import { deleteRecordsApi, offsetCommitApi, produceApi } from '@millrace/protocol';
import type { Broker } from '../../../broker/src/broker.js';
import { StorageCounters } from '../../../broker/src/storage/storage-counters.js';
import { CompactedTopic } from '../storage/compaction/compacted-topic.js';
import { records } from '../storage/compaction/segment-files.js';
import { batchOf } from '../support/raw-client.js';
import type { RawClient } from '../support/raw-client.js';
import { afterTest, temporaryDirectory, testBroker, testClient } from '../support/temporary.js';

/** The sample lines of a scrape by name and labels. */
async function scrape(broker: Broker): Promise<Map<string, number>> {
  const response = await fetch(`http://${broker.httpAddress ?? ''}/metrics`);
  const lines = (await response.text()).split('\n');
  return new Map(
    lines
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
  );
}

async function produce(client: RawClient, topicId: string, partition: number): Promise<void> {
  const batch = batchOf('a'.repeat(3_000), 'b');
  const entries = [{ topicId, partition, byteLength: batch.length }];
  await client.call(produceApi, { acks: 1, timeoutMs: 5_000, entries }, batch);
}

/** As a tool does, while nobody is in the group. */
async function commit(
  client: RawClient,
  groupId: string,
  topicId: string,
  offsets: readonly number[],
): Promise<readonly number[]> {
  const entries = offsets.map((offset, partition) => ({
    ...{ topicId, partition, offset, leaderEpoch: -1, metadata: null },
  }));
  const who = { memberId: '', generation: -1, groupInstanceId: null };
  const { response } = await client.call(offsetCommitApi, { groupId, ...who, entries });
  return response.entries.map(({ errorCode }) => errorCode);
}

describe('metrics of groups', () => {
  test('tell of states, commits, and lag by partition and by group', async () => {
    const broker = await testBroker({ http: '127.0.0.1:0' });
    const client = await testClient(broker);
    const topicId = await client.createTopic('t', 2);
    for (const partition of [0, 0, 1]) await produce(client, topicId, partition);
    expect(await commit(client, 'g', topicId, [1, 2])).toEqual([0, 0]);
    expect(await commit(client, 'other', topicId, [9, 0, 0])).toEqual([0, 0, 3]);
    const samples = await scrape(broker);
    expect(samples.get('millrace_groups{state="Empty"}')).toBe(2);
    expect(samples.get('millrace_groups{state="Stable"}')).toBe(0);
    expect(samples.get('millrace_group_members')).toBe(0);
    expect(samples.get('millrace_group_rebalances_total')).toBe(0);
    expect(samples.get('millrace_group_commits_total')).toBe(4);
    expect(samples.get('millrace_group_commits_failed_total')).toBe(1);
    const lag = (group: string, partition: number): number | undefined =>
      samples.get(
        `millrace_group_lag_offsets{group="${group}",topic="t",partition="${partition}"}`,
      );
    expect([lag('g', 0), lag('g', 1), lag('other', 0), lag('other', 1)]).toEqual([3, 0, 0, 2]);
    expect(samples.get('millrace_group_total_lag_offsets{group="g"}')).toBe(3);
    expect(samples.get('millrace_series_omitted{metric="group_lag_offsets"}')).toBe(0);
  });

  test('have no more series than allowed, and say how many are left out', async () => {
    const broker = await testBroker({ http: '127.0.0.1:0', maxMetricSeries: 2 });
    const client = await testClient(broker);
    const topicId = await client.createTopic('t', 2);
    for (const topic of ['u', 'v']) await client.createTopic(topic, 2);
    for (const group of ['a', 'b', 'c']) await commit(client, group, topicId, [0, 0]);
    const samples = await scrape(broker);
    const named = (metric: string): number =>
      [...samples.keys()].filter((name) => name.startsWith(`millrace_${metric}{`)).length;
    const omitted = (metric: string): number | undefined =>
      samples.get(`millrace_series_omitted{metric="${metric}"}`);
    // The internal topic is one of them.
    expect([named('log_bytes'), omitted('log_bytes')]).toEqual([2, 2]);
    expect([named('log_start_offset'), omitted('log_start_offset')]).toEqual([2, 5]);
    expect([named('group_total_lag_offsets'), omitted('group_total_lag_offsets')]).toEqual([2, 1]);
    // Only per group then.
    expect([named('group_lag_offsets'), omitted('group_lag_offsets')]).toEqual([0, 4]);
  });
});

describe('metrics of old data', () => {
  test('tell of segments removed, and where logs begin', async () => {
    const broker = await testBroker({ http: '127.0.0.1:0' });
    const client = await testClient(broker);
    const topicId = await client.createTopic('t', 1, [['segment.bytes', '4096']]);
    for (let i = 0; i < 5; i += 1) await produce(client, topicId, 0);
    const request = { entries: [{ topicId, partition: 0, offset: -1 }], timeoutMs: 5_000 };
    const { response } = await client.call(deleteRecordsApi, request);
    expect(response.entries).toMatchObject([{ errorCode: 0, logStartOffset: 10 }]);
    const samples = await scrape(broker);
    const labels = '{topic="t",partition="0"}';
    expect(samples.get(`millrace_log_start_offset${labels}`)).toBe(10);
    expect(samples.get(`millrace_log_end_offset${labels}`)).toBe(10);
    expect(samples.get('millrace_compaction_runs_total')).toBe(0);
    expect(samples.get('millrace_retention_segments_removed_total')).toBeGreaterThanOrEqual(0);
  });

  test('count what retention removes, and what compaction does and fails at', async () => {
    const counters = new StorageCounters();
    const topic = await CompactedTopic.create(temporaryDirectory());
    afterTest(() => topic.storage.close());
    Object.assign(topic.storage.environment, { counters });
    for (let round = 0; round < 20; round += 1) {
      await topic.append({ records: records(`a=${round} b=${'x'.repeat(900)}`) });
    }
    const before = topic.log.sizeBytes;
    const failing = { run: () => Promise.reject(new Error('no')), close: () => Promise.resolve() };
    await topic.compact({ runner: failing });
    expect(counters).toMatchObject({ compactions: 0, compactionFailures: 1 });
    await topic.compact();
    expect(counters).toMatchObject({
      ...{ compactions: 1, compactionFailures: 1, compactionRemovedRecords: 38 },
      ...{ compactionInputBytes: before, compactionOutputBytes: topic.log.sizeBytes },
    });
    const { segmentCount, sizeBytes } = topic.log;
    await topic.log.removeBefore(topic.log.nextOffset, 'a test');
    expect(counters).toMatchObject({ removedSegments: segmentCount, removedBytes: sizeBytes });
  });
});
