import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { CLIENT_VERSION } from '@millrace/client';
import { onNth, useFakeBroker } from './support/harness.js';

const harness = useFakeBroker();

test('topics are created, listed, described and deleted', async () => {
  const { client } = harness();
  const { admin } = client;
  await admin.createTopics([{ name: 'b', partitions: 3 }, { name: 'a' }]);
  const listed = await admin.listTopics();
  expect(listed.map(({ name, partitions }) => [name, partitions])).toEqual([
    ['a', 1],
    ['b', 3],
  ]);
  await client.producer().send('b', { value: 'v', partition: 1 });
  const described = await admin.describeTopic('b');
  expect(described.partitions.map(({ endOffset }) => endOffset)).toEqual([0, 1, 0]);
  expect(await admin.offsets('b')).toContainEqual({ partition: 1, beginning: 0, end: 1 });
  await admin.deleteTopic('b');
  await expect(admin.describeTopic('b')).rejects.toMatchObject({ topic: 'b' });
  await expect(admin.deleteTopic('b')).rejects.toThrow('There is no topic "b"');
});

test("the broker's refusals come with its code and the topic", async () => {
  const { admin } = harness().client;
  await expect(admin.createTopic({ name: '..' })).rejects.toMatchObject({
    code: 'INVALID_TOPIC',
    topic: '..',
  });
  await admin.createTopic({ name: 't' });
  await expect(admin.createTopic({ name: 't' })).rejects.toMatchObject({
    code: 'TOPIC_ALREADY_EXISTS',
  });
  const several = admin.createTopics([{ name: 't' }, { name: '.' }, { name: 'new' }]);
  await expect(several).rejects.toBeInstanceOf(AggregateError);
  expect((await admin.listTopics()).map(({ name }) => name)).toEqual(['new', 't']);
});

test('a creation or deletion whose answer was lost succeeds when repeated', async () => {
  const { broker, client } = harness();
  broker.intercept = onNth('createTopics', [1], { kind: 'cut-after' });
  await expect(client.admin.createTopic({ name: 't', partitions: 2 })).resolves.toMatchObject({
    partitions: 2,
  });
  broker.intercept = onNth('deleteTopics', [1], { kind: 'cut-after' });
  await client.admin.deleteTopic('t');
  expect(broker.topics.size).toBe(0);
});

test('a topic that may exist already is created once, and found after that', async () => {
  const { client } = harness();
  const spec = { name: 't', partitions: 3, ifNotExists: true };
  const created = await client.admin.createTopic(spec);
  expect(created).toMatchObject({ partitions: 3, existed: false });
  const again = await client.admin.createTopic({ ...spec, partitions: 7 });
  expect(again).toEqual({ ...created, existed: true });
  const refused = client.admin.createTopic({ ...spec, ifNotExists: false });
  await expect(refused).rejects.toMatchObject({ code: 'TOPIC_ALREADY_EXISTS' });
});

test('offsets by time, and undefined where there is no such message', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 2);
  const producer = client.producer();
  for (const timestampMs of [1_000, 2_000]) {
    await producer.send('t', { value: 'v', partition: 0, timestampMs });
  }
  expect(await client.admin.listOffsets('t', { timestampMs: 1_500 })).toEqual([
    { partition: 0, offset: 1, timestampMs: 2_000 },
    { partition: 1, offset: undefined, timestampMs: undefined },
  ]);
});

test('the version that brokers are told is that of the package', () => {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../../client/package.json', import.meta.url), 'utf8'),
  );
  expect(manifest).toMatchObject({ version: CLIENT_VERSION });
});
