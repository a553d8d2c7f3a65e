import { expect, test } from '@jest/globals';
import type { ConfigChanges } from '@millrace/client';
import { FakeAdmin } from './support/fake-admin.js';
import { onNth, useFakeBroker } from './support/harness.js';

const harness = useFakeBroker();

function setUp() {
  const { broker, client } = harness();
  return { broker, client, admin: client.admin, fake: new FakeAdmin(broker) };
}

test('a topic is described with segments, size on disk and high watermark', async () => {
  const { broker, admin } = setUp();
  broker.createTopic('t');
  expect(await admin.describeTopic('t')).toMatchObject({
    internal: false,
    partitions: [{ highWatermark: 0, segments: 1, diskBytes: 0 }],
  });
});

test('configuration is set as text and unset by null', async () => {
  const { broker, admin, fake } = setUp();
  broker.createTopic('t');
  await admin.alterConfig('t', { 'retention.ms': 5, 'cleanup.policy': 'compact' });
  expect([...(fake.configs.get('t') ?? [])]).toEqual([
    ['retention.ms', '5'],
    ['cleanup.policy', 'compact'],
  ]);
  await admin.alterConfig('t', { 'retention.ms': null, 'cleanup.policy': 'delete' });
  expect([...(fake.configs.get('t') ?? [])]).toEqual([['cleanup.policy', 'delete']]);
  await admin.alterConfig('t', { 'retention.ms': 7 }, { validateOnly: true });
  expect(fake.configs.get('t')?.has('retention.ms')).toBe(false);
});

test('a change of configuration that is refused names the topic and the key', async () => {
  const { broker, admin } = setUp();
  broker.createTopic('t');
  await expect(admin.alterConfig('t', { nonsense: 1 })).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringMatching(/alter topic "t": .*"nonsense"/) as unknown,
  });
  await expect(admin.alterConfig('nope', { 'a.b': 1 })).rejects.toThrow('no topic "nope"');
});

test('changes that make no sense are refused before anything is sent', async () => {
  const { broker, admin } = setUp();
  broker.createTopic('t');
  const wrong = [{}, { 'a.b': undefined }, { 'a.b': NaN }, { 'a.b': {} }, null, ['a.b']];
  for (const changes of wrong) {
    const altered = admin.alterConfig('t', changes as unknown as ConfigChanges);
    await expect(altered).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  const misspelt = { validateonly: true } as object;
  await expect(admin.alterConfig('t', { 'a.b': 1 }, misspelt)).rejects.toThrow(
    'There is no alterConfig option "validateonly"; did you mean "validateOnly"?',
  );
  expect(broker.callsOf('alterTopicConfigs')).toEqual([]);
});

test('partitions are added, and a new producer of the client sees them at once', async () => {
  const { broker, client, admin } = setUp();
  broker.createTopic('t', 2);
  await client.producer().send('t', { value: 'v', partition: 1 });
  expect(await admin.createPartitions('t', 5)).toBe(5);
  await client.producer().send('t', { value: 'v', partition: 4 });
  await expect(admin.createPartitions('t', 5)).rejects.toMatchObject({
    code: 'INVALID_PARTITIONS',
    topic: 't',
  });
  await expect(admin.createPartitions('nope', 5)).rejects.toThrow('no topic "nope"');
  await expect(admin.createPartitions('t', 0)).rejects.toThrow('total must be an integer');
});

test('partitions whose answer was lost are there when it is repeated', async () => {
  const { broker, admin } = setUp();
  broker.createTopic('t', 2);
  broker.intercept = onNth('createPartitions', [1], { kind: 'cut-after' });
  expect(await admin.createPartitions('t', 3)).toBe(3);
});

test('records are deleted up to an offset or the end', async () => {
  const { broker, client, admin } = setUp();
  broker.createTopic('t', 2);
  const producer = client.producer();
  for (const partition of [0, 0, 0, 1]) await producer.send('t', { value: 'v', partition });
  const deleted = await admin.deleteRecords([
    { topic: 't', partition: 1, offset: 'end' },
    { topic: 't', partition: 0, offset: 2 },
  ]);
  expect(deleted).toEqual([
    { topic: 't', partition: 1, startOffset: 1 },
    { topic: 't', partition: 0, startOffset: 2 },
  ]);
  expect(await admin.deleteRecords([])).toEqual([]);
});

test('a deletion to the end that is repeated spares what came meanwhile', async () => {
  const { broker, client, admin } = setUp();
  const topic = broker.createTopic('t');
  const producer = client.producer();
  await producer.send('t', { value: 'old' });
  let late: Promise<unknown> | undefined;
  broker.intercept = ({ api, nth }) => {
    if (api !== 'deleteRecords' || nth > 1) return undefined;
    late = producer.send('t', { value: 'new' });
    return { kind: 'error', name: 'STORAGE_ERROR' };
  };
  const [deleted] = await admin.deleteRecords([{ topic: 't', partition: 0, offset: 'end' }]);
  await late;
  expect(deleted?.startOffset).toBe(1);
  expect(topic.partitions[0]?.endOffset).toBe(2);
});

test('records that cannot be deleted are named, each of them', async () => {
  const { broker, admin } = setUp();
  broker.createTopic('t', 3);
  const beyond = { topic: 't', partition: 2, offset: 9 };
  await expect(admin.deleteRecords([beyond])).rejects.toMatchObject({
    code: 'OFFSET_OUT_OF_RANGE',
    topic: 't',
    partition: 2,
    message: expect.stringContaining('t-2 before 9') as unknown,
  });
  const several = admin.deleteRecords([beyond, { ...beyond, partition: 1 }]);
  await expect(several).rejects.toBeInstanceOf(AggregateError);
  await expect(admin.deleteRecords([{ ...beyond, partition: 7 }])).rejects.toThrow(
    'has no partition 7',
  );
  await expect(admin.deleteRecords([{ ...beyond, offset: -1 }])).rejects.toThrow('offset must be');
});

test('the cluster is described, with the address that was dialled', async () => {
  const { broker, admin, fake } = setUp();
  broker.createTopic('t', 2);
  fake.group('g');
  expect(await admin.describeCluster()).toEqual({
    clusterId: 'fake',
    controllerId: 1,
    nodes: [
      {
        nodeId: 1,
        address: broker.address,
        version: '0.0.0',
        mode: 'millrace',
        persist: 'mmap',
        serve: 'sendfile',
        startedAtMs: expect.any(Number) as unknown,
      },
    ],
    topics: 1,
    partitions: 2,
    offlinePartitions: 0,
    groups: 1,
    logBytes: 3 * 1024 * 1024,
  });
});

test('a signal ends a call that nobody answers', async () => {
  const { broker, admin } = setUp();
  broker.intercept = onNth('describeCluster', [1], { kind: 'ignore' });
  const controller = new AbortController();
  const described = admin.describeCluster({ signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect(described).rejects.toThrow('enough');
});
