import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Millrace, type Admin } from '@millrace/client';
import { RealBroker } from './support/real-broker.js';

const broker = new RealBroker();
let client: Millrace;
let admin: Admin;

beforeAll(async () => {
  await broker.start();
  client = new Millrace({ brokers: [broker.address], clientId: 'test' });
  ({ admin } = client);
});

afterAll(async () => {
  await client.close();
  await broker.remove();
});

async function topicWith(name: string, partitions: number, messages: number): Promise<void> {
  await admin.createTopic({ name, partitions });
  const producer = client.producer();
  for (let index = 0; index < messages; index += 1) {
    await producer.send(name, { value: String(index), partition: index % partitions });
  }
  await producer.close();
}

test('a topic is described, altered, grown and trimmed', async () => {
  await topicWith('life', 2, 10);
  const described = await admin.describeTopic('life');
  expect(described.internal).toBe(false);
  for (const partition of described.partitions) {
    expect(partition).toMatchObject({ startOffset: 0, endOffset: 5, highWatermark: 5 });
    expect(partition.segments).toBeGreaterThan(0);
    expect(partition.diskBytes).toBeGreaterThan(0);
  }
  await admin.alterConfig('life', { 'retention.ms': 60_000 }, { validateOnly: true });
  const entryOf = async () =>
    (await admin.describeTopic('life')).config.find(({ key }) => key === 'retention.ms');
  expect(await entryOf()).toMatchObject({ source: 'default' });
  await admin.alterConfig('life', { 'retention.ms': 60_000 });
  expect(await entryOf()).toEqual({ key: 'retention.ms', value: '60000', source: 'topic' });
  await admin.alterConfig('life', { 'retention.ms': null });
  expect(await entryOf()).toMatchObject({ source: 'default' });
  await expect(admin.alterConfig('life', { 'retention.ms': -2 })).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining('retention.ms') as unknown,
  });
  expect(await admin.createPartitions('life', 4)).toBe(4);
  await expect(admin.createPartitions('life', 3)).rejects.toMatchObject({
    code: 'INVALID_PARTITIONS',
  });
  const deleted = await admin.deleteRecords([
    { topic: 'life', partition: 0, offset: 3 },
    { topic: 'life', partition: 1, offset: 'end' },
  ]);
  expect(deleted.map(({ startOffset }) => startOffset)).toEqual([3, 5]);
  await expect(
    admin.deleteRecords([{ topic: 'life', partition: 0, offset: 6 }]),
  ).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  expect(await admin.describeCluster()).toMatchObject({
    nodes: [{ address: broker.address }],
    offlinePartitions: 0,
  });
});

test('a group from its first member to its deletion', async () => {
  await topicWith('work', 2, 10);
  const consumer = client.consumer({ group: 'g', topics: ['work'] });
  let seen = 0;
  for await (const message of consumer) {
    seen += 1;
    if (seen < 10) continue;
    await consumer.commit(message);
    expect(await admin.describeGroup('g')).toMatchObject({
      state: 'Stable',
      members: [{ clientId: 'test', partitions: [{ partition: 0 }, { partition: 1 }] }],
    });
    const active = {
      code: 'NON_EMPTY_GROUP',
      message: expect.stringContaining('"test"') as unknown,
    };
    await expect(admin.resetOffsets('g', { to: 'end' })).rejects.toMatchObject(active);
    await expect(admin.deleteGroup('g')).rejects.toMatchObject(active);
    await expect(admin.deleteOffsets('g', [{ topic: 'work', partition: 0 }])).rejects.toMatchObject(
      { code: 'GROUP_SUBSCRIBED_TO_TOPIC' },
    );
    break;
  }
  expect(await admin.listGroups({ states: ['Empty'] })).toMatchObject([{ groupId: 'g' }]);
  const reset = await admin.resetOffsets('g', { to: 'beginning' });
  expect(reset.map(({ newOffset }) => newOffset)).toEqual([0, 0]);
  expect((await admin.groupOffsets('g')).map(({ lag }) => lag)).toEqual([5, 5]);
  await admin.deleteOffsets('g', [{ topic: 'work', partition: 0 }]);
  const left = await admin.groupOffsets('g');
  expect(left.map(({ committedOffset }) => committedOffset)).toEqual([null, 0]);
  await admin.deleteGroup('g');
  const gone = { code: 'GROUP_ID_NOT_FOUND' };
  await expect(admin.describeGroup('g')).rejects.toMatchObject(gone);
  await expect(admin.deleteGroup('g')).rejects.toMatchObject(gone);
  await expect(admin.deleteOffsets('g', [{ topic: 'work', partition: 0 }])).rejects.toMatchObject(
    gone,
  );
});

test('the offsets that a crash skips are no lag', async () => {
  await topicWith('crash', 1, 4);
  await admin.resetOffsets('behind', { to: { offset: 1 }, topics: ['crash'] });
  await admin.resetOffsets('done', { to: 'end', topics: ['crash'] });
  await broker.kill();
  await broker.start();
  const [end] = await admin.groupOffsets('done');
  expect(end?.endOffset).toBeGreaterThan(4);
  expect(end).toMatchObject({ committedOffset: 4, lag: 0 });
  const [behind] = await admin.groupOffsets('behind');
  expect(behind?.lag).toBeGreaterThan(0);
});

test("the broker's own topic is said to be that, and cannot be changed", async () => {
  await admin.resetOffsets('any', { to: 'end', topics: ['crash'] });
  expect(await admin.describeTopic('__offsets')).toMatchObject({ internal: true });
  const refused = { code: 'POLICY_VIOLATION' };
  await expect(admin.alterConfig('__offsets', { 'retention.ms': 1 })).rejects.toMatchObject(
    refused,
  );
  await expect(admin.createPartitions('__offsets', 2)).rejects.toMatchObject(refused);
  await expect(
    admin.deleteRecords([{ topic: '__offsets', partition: 0, offset: 'end' }]),
  ).rejects.toMatchObject(refused);
  await expect(admin.deleteTopic('__offsets')).rejects.toMatchObject(refused);
  await expect(admin.createTopic({ name: '__offsets' })).rejects.toMatchObject(refused);
});
