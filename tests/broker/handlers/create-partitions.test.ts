import { describe, expect, test } from '@jest/globals';
import { createPartitionsApi, metadataApi, produceApi } from '@millrace/protocol';
import type { CreatePartitionsResult } from '@millrace/protocol';
import { batchOf } from '../support/raw-client.js';
import type { RawClient } from '../support/raw-client.js';
import { temporaryDirectory, testBroker, testClient } from '../support/temporary.js';

async function grow(
  client: RawClient,
  ...topics: readonly (readonly [name: string, partitions: number])[]
): Promise<readonly CreatePartitionsResult[]> {
  const entries = topics.map(([name, partitions]) => ({ name, partitions }));
  const request = { topics: entries, timeoutMs: 5_000 };
  return (await client.call(createPartitionsApi, request)).response.topics;
}

async function partitionsOf(client: RawClient, name: string): Promise<number | undefined> {
  const { response } = await client.call(metadataApi, { topics: [name] });
  return response.topics[0]?.partitions.length;
}

describe('createPartitions', () => {
  test('adds partitions that take records at once, and are there after a restart', async () => {
    const dataDir = temporaryDirectory();
    const broker = await testBroker({ dataDir });
    const client = await testClient(broker);
    const topicId = await client.createTopic('t', 2);
    expect(await grow(client, ['t', 5])).toEqual([
      { name: 't', errorCode: 0, errorMessage: null, partitions: 5 },
    ]);
    const batch = batchOf('a');
    const entries = [{ topicId, partition: 4, byteLength: batch.length }];
    const request = { acks: -1 as const, timeoutMs: 5_000, entries };
    expect((await client.call(produceApi, request, batch)).response.entries).toMatchObject([
      { errorCode: 0, baseOffset: 0 },
    ]);
    expect(await partitionsOf(client, 't')).toBe(5);
    await broker.close();
    expect(await partitionsOf(await testClient(await testBroker({ dataDir })), 't')).toBe(5);
  });

  test('refuses each topic for itself', async () => {
    const client = await testClient(await testBroker({ maxPartitions: 10 }));
    await client.createTopic('fewer', 3);
    await client.createTopic('more', 1);
    const rows = await grow(
      ...[client, ['fewer', 3] as const, ['none', 2] as const, ['__offsets', 2] as const],
      ...([
        ['more', 100],
        ['more2', 0],
      ] as const),
    );
    expect(rows).toMatchObject([
      { errorCode: 37, errorMessage: expect.stringContaining('their number can only grow') },
      { errorCode: 3, errorMessage: 'there is no topic none' },
      { errorCode: 44, errorMessage: expect.stringContaining('cannot be given partitions') },
      { errorCode: expect.any(Number), partitions: 0 },
      { errorCode: 3, partitions: 0 },
    ]);
    expect(rows[3]?.errorCode).not.toBe(0);
    expect([await partitionsOf(client, 'fewer'), await partitionsOf(client, 'more')]).toEqual([
      3, 1,
    ]);
    expect(await grow(client, ['more', 7])).toMatchObject([{ errorCode: 0 }]);
  });

  test('refuses a topic that is named twice', async () => {
    const client = await testClient(await testBroker());
    await client.createTopic('t');
    await expect(grow(client, ['t', 2], ['t', 3])).rejects.toMatchObject({
      errorName: 'INVALID_REQUEST',
    });
    expect(await partitionsOf(client, 't')).toBe(1);
  });
});
