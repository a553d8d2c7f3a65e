import { describe, expect, test } from '@jest/globals';
import { alterTopicConfigsApi, describeTopicsApi, produceApi } from '@millrace/protocol';
import type { TopicConfigChange } from '@millrace/protocol';
import { batchOf } from '../support/raw-client.js';
import type { RawClient } from '../support/raw-client.js';
import { temporaryDirectory, testBroker, testClient } from '../support/temporary.js';

const MiB = 2 ** 20;

interface Row {
  readonly name: string;
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

async function alter(
  client: RawClient,
  topics: Readonly<Record<string, Readonly<Record<string, string | null>>>>,
  validateOnly = false,
): Promise<readonly Row[]> {
  const entries = Object.entries(topics).map(([name, values]) => ({
    name,
    changes: Object.entries(values).map(([key, value]): TopicConfigChange => ({ key, value })),
  }));
  const request = { topics: entries, validateOnly };
  return (await client.call(alterTopicConfigsApi, request)).response.topics;
}

async function configOf(client: RawClient, name: string): Promise<Map<string, unknown>> {
  const { response } = await client.call(describeTopicsApi, { names: [name] });
  return new Map(response.topics[0]?.config.map(([key, ...rest]) => [key, rest]));
}

describe('alterTopicConfigs', () => {
  test('sets a value, takes it back to the default, and keeps it over a restart', async () => {
    const dataDir = temporaryDirectory();
    const broker = await testBroker({ dataDir });
    const client = await testClient(broker);
    await client.createTopic('t', 1, [['flush.ms', '500']]);
    const before = await configOf(client, 't');
    const changes = { 'retention.ms': '60000', 'cleanup.policy': 'compact,delete' };
    expect(await alter(client, { t: { ...changes, 'flush.ms': null } })).toEqual([
      { name: 't', errorCode: 0, errorMessage: null },
    ]);
    const after = await configOf(client, 't');
    expect(after.get('retention.ms')).toEqual(['60000', 'topic']);
    expect(after.get('cleanup.policy')).toEqual(['compact,delete', 'topic']);
    expect(after.get('flush.ms')).not.toEqual(before.get('flush.ms'));
    await broker.close();
    const again = await testClient(await testBroker({ dataDir }));
    expect(await configOf(again, 't')).toEqual(after);
  });

  test('is in force at once', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const send = async (): Promise<number | undefined> => {
      const batch = batchOf('x'.repeat(3_000));
      const entries = [{ topicId, partition: 0, byteLength: batch.length }];
      const request = { acks: 1 as const, timeoutMs: 5_000, entries };
      return (await client.call(produceApi, request, batch)).response.entries[0]?.errorCode;
    };
    expect(await send()).toBe(0);
    await alter(client, { t: { 'max.message.bytes': '1024' } });
    expect(await send()).toBe(10);
    await alter(client, { t: { 'max.message.bytes': null } });
    expect(await send()).toBe(0);
  });

  test('changes nothing when it is only to validate', async () => {
    const client = await testClient(await testBroker());
    await client.createTopic('t');
    const before = await configOf(client, 't');
    expect(await alter(client, { t: { 'flush.ms': '7' } }, true)).toMatchObject([{ errorCode: 0 }]);
    expect(await alter(client, { t: { 'flush.ms': 'x' } }, true)).toMatchObject([
      { errorCode: 40 },
    ]);
    expect(await configOf(client, 't')).toEqual(before);
  });

  test('refuses each topic for itself, and all changes of one together', async () => {
    const client = await testClient(await testBroker({ maxFrameBytes: 12 * MiB }));
    for (const name of ['bad', 'good', 'large', 'unknown']) await client.createTopic(name);
    const before = await configOf(client, 'bad');
    const rows = await alter(client, {
      bad: { 'flush.ms': '7', 'retention.ms': '-2' },
      large: { 'max.message.bytes': String(12 * MiB) },
      unknown: { 'no.such.key': '1' },
      none: { 'flush.ms': '7' },
      __offsets: { 'cleanup.policy': 'delete' },
      good: { 'flush.ms': '7' },
    });
    expect(rows).toMatchObject([
      { errorCode: 40, errorMessage: expect.stringMatching(/retention\.ms must be .* not "-2"/) },
      { errorCode: 40, errorMessage: expect.stringContaining('more than a request') },
      { errorCode: 40, errorMessage: expect.stringContaining('no.such.key') },
      { errorCode: 3, errorMessage: 'there is no topic none' },
      { errorCode: 44, errorMessage: expect.stringContaining('cannot be altered by clients') },
      { name: 'good', errorCode: 0 },
    ]);
    expect(await configOf(client, 'bad')).toEqual(before);
    expect((await configOf(client, 'good')).get('flush.ms')).toEqual(['7', 'topic']);
  });

  test('refuses a topic that is named twice', async () => {
    const client = await testClient(await testBroker());
    await client.createTopic('t');
    const entry = { name: 't', changes: [] };
    const request = { topics: [entry, entry], validateOnly: false };
    await expect(client.call(alterTopicConfigsApi, request)).rejects.toMatchObject({
      errorName: 'INVALID_REQUEST',
    });
  });
});
