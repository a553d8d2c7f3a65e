import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import {
  deleteRecordsApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  produceApi,
} from '@millrace/protocol';
import type { DeleteRecordsResult } from '@millrace/protocol';
import { DeleteRecordsHandler } from '../../../broker/src/handlers/delete-records.js';
import type { HandlerServices } from '../../../broker/src/handlers/services.js';
import { silentLogger } from '../../support/storage.js';
import { batchOf } from '../support/raw-client.js';
import type { RawClient } from '../support/raw-client.js';
import { temporaryDirectory, testBroker, testClient } from '../support/temporary.js';

async function deleteTo(
  client: RawClient,
  ...rows: readonly (readonly [topicId: string, partition: number, offset: number])[]
): Promise<readonly DeleteRecordsResult[]> {
  const entries = rows.map(([topicId, partition, offset]) => ({ topicId, partition, offset }));
  return (await client.call(deleteRecordsApi, { entries, timeoutMs: 5_000 })).response.entries;
}

async function produce(client: RawClient, topicId: string, partition = 0): Promise<void> {
  const batch = batchOf('a', 'b', 'c');
  const entries = [{ topicId, partition, byteLength: batch.length }];
  await client.call(produceApi, { acks: -1, timeoutMs: 5_000, entries }, batch);
}

async function startOf(client: RawClient, topicId: string): Promise<number | undefined> {
  const entries = [{ topicId, partition: 0, timestampMs: -2 }];
  return (await client.call(listOffsetsApi, { entries })).response.entries[0]?.offset;
}

const NO_SUCH_TOPIC = 'e'.repeat(32);

/** The handler over partitions that delete nothing, and tell how many do so at a time. */
class SlowPartitions {
  most = 0;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  readonly partition = {
    name: 't-0',
    topicName: 't',
    deleteRecords: async (offset: number): Promise<number> => {
      this.#running += 1;
      this.most = Math.max(this.most, this.#running);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#running -= 1;
      return offset;
    },
  };

  async handle(count: number): Promise<readonly DeleteRecordsResult[]> {
    const partitions = Array.from({ length: count }, () => this.partition);
    const topics = { byId: () => ({ name: 't', partitions }) };
    const services = { storage: { topics }, logger: silentLogger };
    const handler = new DeleteRecordsHandler(services as unknown as HandlerServices);
    const entries = partitions.map((_, partition) => ({
      topicId: 'x',
      partition,
      offset: partition,
    }));
    const handled = handler.handle({ entries, timeoutMs: 5_000 });
    const done = new AbortController();
    void handled.finally(() => done.abort());
    while (!done.signal.aborted) {
      await setImmediate();
      // The last to begin ends first.
      for (const resolve of this.#waiting.splice(0).reverse()) resolve();
    }
    return (await handled).response.entries;
  }
}

describe('deleteRecords', () => {
  test('moves the start of a partition, within a batch too, and never back', async () => {
    const dataDir = temporaryDirectory();
    const broker = await testBroker({ dataDir });
    const client = await testClient(broker);
    const topicId = await client.createTopic('t');
    for (let i = 0; i < 3; i += 1) await produce(client, topicId);
    const done = (logStartOffset: number): DeleteRecordsResult[] => [
      { topicId, partition: 0, errorCode: 0, errorMessage: null, logStartOffset },
    ];
    expect(await deleteTo(client, [topicId, 0, 4])).toEqual(done(4));
    expect(await deleteTo(client, [topicId, 0, 2])).toEqual(done(4));
    expect(await startOf(client, topicId)).toBe(4);
    await broker.close();
    const again = await testClient(await testBroker({ dataDir }));
    expect(await startOf(again, topicId)).toBe(4);
    expect(await deleteTo(again, [topicId, 0, -1])).toEqual(done(9));
    await produce(again, topicId);
    expect(await startOf(again, topicId)).toBe(9);
  });

  test('refuses each partition for itself', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t', 2);
    const compacted = await client.createTopic('c', 1, [['cleanup.policy', 'compact']]);
    const both = await client.createTopic('b', 1, [['cleanup.policy', 'compact,delete']]);
    for (const partition of [0, 1]) await produce(client, topicId, partition);
    const rows = await deleteTo(
      client,
      [topicId, 0, 4],
      [topicId, 7, 0],
      [NO_SUCH_TOPIC, 0, 0],
      [compacted, 0, 0],
      [both, 0, -1],
      [topicId, 1, 3],
    );
    expect(rows).toMatchObject([
      {
        errorCode: 1,
        errorMessage: expect.stringContaining('high watermark 3'),
        logStartOffset: -1,
      },
      { errorCode: 3, logStartOffset: -1 },
      { errorCode: 100, logStartOffset: -1 },
      { errorCode: 44, errorMessage: expect.stringContaining('tombstones') },
      { errorCode: 0, logStartOffset: 0 },
      { errorCode: 0, logStartOffset: 3 },
    ]);
    expect(await startOf(client, topicId)).toBe(0);
  });

  test("leaves the broker's own topic alone", async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const who = { groupId: 'g', memberId: '', generation: -1, groupInstanceId: null };
    const commit = { topicId, partition: 0, offset: 0, leaderEpoch: -1, metadata: null };
    await client.call(offsetCommitApi, { ...who, entries: [commit] });
    const { response } = await client.call(metadataApi, { topics: ['__offsets'] });
    const internal = response.topics[0]?.topicId ?? '';
    expect(await deleteTo(client, [internal, 0, -1])).toMatchObject([
      { errorCode: 44, errorMessage: expect.stringContaining('__offsets is the broker') },
    ]);
    expect(await startOf(client, internal)).toBe(0);
  });

  test('deletes of several partitions at a time, and answers in their order', async () => {
    const slow = new SlowPartitions();
    const rows = await slow.handle(50);
    expect(rows.map(({ logStartOffset }) => logStartOffset)).toEqual([...rows.keys()]);
    expect(rows).toHaveLength(50);
    expect(slow.most).toBe(16);
  });

  test('refuses a partition that is named twice', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    await expect(deleteTo(client, [topicId, 0, 0], [topicId, 0, -1])).rejects.toMatchObject({
      errorName: 'INVALID_REQUEST',
      message: expect.stringContaining('is named more than once'),
    });
  });
});
