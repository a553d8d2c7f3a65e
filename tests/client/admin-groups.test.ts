import { expect, test } from '@jest/globals';
import { COMMIT_TIME_MS, FakeAdmin } from './support/fake-admin.js';
import { onNth, useFakeBroker } from './support/harness.js';

const harness = useFakeBroker();

/** Topic `t` with two partitions, four messages in the first and one in the second. */
async function setUp() {
  const { broker, client } = harness();
  const fake = new FakeAdmin(broker);
  const topic = broker.createTopic('t', 2);
  const producer = client.producer({ batchBytes: 1 });
  for (const [index, partition] of [0, 0, 0, 0, 1].entries()) {
    await producer.send('t', { value: 'v', partition, timestampMs: 1_000 * (index + 1) });
  }
  return { broker, admin: client.admin, fake, topic, group: fake.group('g') };
}

test('groups are listed by name, all or those in some states', async () => {
  const { admin, fake } = await setUp();
  fake.join(fake.group('busy'), 'shop', 't', [0]);
  expect(await admin.listGroups()).toEqual([
    { groupId: 'busy', protocolType: 'consumer', state: 'Stable', members: 1 },
    { groupId: 'g', protocolType: 'consumer', state: 'Empty', members: 0 },
  ]);
  expect(await admin.listGroups({ states: ['Stable'] })).toMatchObject([{ groupId: 'busy' }]);
  await expect(admin.listGroups({ states: ['stable' as 'Stable'] })).rejects.toThrow(
    'each of states must be one of "Empty"',
  );
});

test('more groups than fit into an answer are asked for page by page', async () => {
  const { admin, fake } = await setUp();
  const names = ['a', 'c', 'd', 'e', 'f', 'g'];
  for (const name of names) fake.group(name);
  fake.group('b').state = 'Dead';
  for (fake.groupsPerPage of [1, 2, 4, 5, 6]) {
    const listed = await admin.listGroups({ states: ['Empty'] });
    expect(listed.map(({ groupId }) => groupId)).toEqual(names);
  }
});

test('a group is described with what its members read', async () => {
  const { admin, fake, group } = await setUp();
  fake.join(group, 'shop', 't', [1, 0]);
  fake.join(group, 'bar', 't', []);
  expect(await admin.describeGroup('g')).toMatchObject({
    groupId: 'g',
    state: 'Stable',
    protocolName: 'cooperative-sticky',
    coordinator: 1,
    generation: 3,
    members: [
      { clientId: 'bar', partitions: [] },
      {
        clientId: 'shop',
        clientHost: '10.0.0.7',
        groupInstanceId: null,
        partitions: [
          { topic: 't', partition: 0 },
          { topic: 't', partition: 1 },
        ],
      },
    ],
  });
});

test('an assignment that cannot be decoded leaves the partitions open', async () => {
  const { admin, fake, group } = await setUp();
  fake.join(group, 'odd', 't', [0]);
  group.members = group.members.map((member) => ({ ...member, assignment: Buffer.from('?') }));
  const [member] = (await admin.describeGroup('g')).members;
  expect(member?.partitions).toBeUndefined();
  expect(member?.assignment).toEqual(Buffer.from('?'));
  group.protocolType = 'connect';
  expect((await admin.describeGroup('g')).members[0]?.partitions).toBeUndefined();
});

test('a group that does not exist is said to, and how to find those that do', async () => {
  const { admin } = await setUp();
  const expected = {
    code: 'GROUP_ID_NOT_FOUND',
    message: expect.stringMatching(/^There is no group "nope"; .*listGroups/) as unknown,
  };
  await expect(admin.describeGroup('nope')).rejects.toMatchObject(expected);
  await expect(admin.groupOffsets('nope')).rejects.toMatchObject(expected);
  await expect(admin.deleteGroup('nope')).rejects.toMatchObject(expected);
  await expect(admin.resetOffsets('nope', { to: 'end' })).rejects.toMatchObject(expected);
  const part = [{ topic: 't', partition: 0 }];
  await expect(admin.deleteOffsets('nope', part)).rejects.toMatchObject(expected);
  await expect(admin.describeGroup('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('offsets are shown for every partition of topics that the group reads', async () => {
  const { admin, fake, group, broker } = await setUp();
  broker.createTopic('other');
  fake.commit(group, 't', 0, 1);
  fake.join(group, 'shop', 'other', [0]);
  const none = { committedOffset: null, lag: null, metadata: null, commitTimeMs: null };
  expect(await admin.groupOffsets('g')).toEqual([
    { topic: 'other', partition: 0, startOffset: 0, endOffset: 0, ...none },
    {
      topic: 't',
      partition: 0,
      committedOffset: 1,
      startOffset: 0,
      endOffset: 4,
      lag: 3,
      metadata: 'at 1',
      commitTimeMs: COMMIT_TIME_MS,
    },
    { topic: 't', partition: 1, startOffset: 0, endOffset: 1, ...none },
  ]);
  expect(await admin.groupOffsets('g', { topics: ['other'] })).toHaveLength(1);
  await expect(admin.groupOffsets('g', { topics: ['nope'] })).rejects.toThrow('no topic "nope"');
});

test('a commit of a topic that was deleted, or made again, does not count', async () => {
  const { admin, fake, group, broker } = await setUp();
  fake.commit(group, 't', 0, 1);
  broker.topics.delete('t');
  expect(await admin.groupOffsets('g')).toEqual([]);
  broker.createTopic('t', 1);
  const offsets = await admin.groupOffsets('g', { topics: ['t'] });
  expect(offsets).toMatchObject([{ committedOffset: null, lag: null }]);
});

test('lag is never negative, and leaves out what was deleted', async () => {
  const { admin, fake, group, topic } = await setUp();
  fake.commit(group, 't', 0, 1);
  fake.commit(group, 't', 1, 99);
  const [first] = topic.partitions;
  if (first !== undefined) first.startOffset = 3;
  const lags = (await admin.groupOffsets('g')).map(({ lag }) => lag);
  expect(lags).toEqual([1, 0]);
});

test('a gap at the end of the log is no lag', async () => {
  const { admin, fake, group, topic } = await setUp();
  fake.commit(group, 't', 0, 4);
  fake.commit(group, 't', 1, 0);
  for (const partition of topic.partitions) {
    partition.endOffset = 4_096;
    partition.leaderEpoch = 1;
  }
  // The first has nothing behind the commit; of the second the broker knows no better.
  const lags = (await admin.groupOffsets('g')).map(({ lag }) => lag);
  expect(lags).toEqual([0, 4_096]);
});

test('the log is looked at only where the epoch has changed since the commit', async () => {
  const { admin, fake, group, broker } = await setUp();
  fake.commit(group, 't', 0, 1);
  await admin.groupOffsets('g');
  expect(broker.callsOf('fetch')).toEqual([]);
});

test('a partition whose log cannot be looked at has the lag by offsets', async () => {
  const { admin, fake, group, broker } = await setUp();
  fake.commit(group, 't', 0, 1, -1);
  broker.intercept = ({ api }) =>
    api === 'fetch' ? { kind: 'error', name: 'PARTITION_OFFLINE' } : undefined;
  const [first] = await admin.groupOffsets('g');
  expect(first?.lag).toBe(3);
  expect(broker.callsOf('fetch')).toHaveLength(1);
});

test('groups are deleted, and those with members are not, by name', async () => {
  const { admin, fake, group } = await setUp();
  fake.join(fake.group('busy'), 'shop', 't', [0]);
  fake.commit(group, 't', 0, 1);
  const refused = admin.deleteGroups(['g', 'busy']);
  await expect(refused).rejects.toMatchObject({ code: 'NON_EMPTY_GROUP' });
  await expect(refused).rejects.toThrow(/"busy" is active \(Stable, with members "shop" at 10/);
  expect([...fake.groups.keys()]).toEqual(['busy']);
});

test('a deletion whose answer was lost succeeds when repeated', async () => {
  const { admin, fake, broker } = await setUp();
  broker.intercept = onNth('deleteGroups', [1], { kind: 'cut-after' });
  await admin.deleteGroups(['g', 'g']);
  expect(fake.groups.size).toBe(0);
});

test('a coordinator that is loading or has moved is asked again', async () => {
  const { admin, broker } = await setUp();
  broker.intercept = ({ api, nth }) => {
    if (api !== 'describeGroups' || nth > 2) return undefined;
    return { kind: 'error', name: nth === 1 ? 'COORDINATOR_LOAD_IN_PROGRESS' : 'NOT_COORDINATOR' };
  };
  await admin.describeGroup('g');
  expect(broker.callsOf('findCoordinator')).toHaveLength(3);
});

test('a row that fails retriably is asked for again, and no other', async () => {
  const { admin, fake, broker } = await setUp();
  fake.group('h');
  const answer = broker.extra.get('describeGroups');
  broker.extra.set('describeGroups', (request) => {
    const response = answer?.(request) as { groups: { groupId: string; errorCode: number }[] };
    const first = broker.callsOf('describeGroups').length === 1;
    for (const group of response.groups) if (first && group.groupId === 'h') group.errorCode = 14;
    return response;
  });
  const described = await admin.describeGroups(['g', 'h']);
  expect(described.map(({ groupId }) => groupId)).toEqual(['g', 'h']);
  expect(broker.callsOf('describeGroups').map(({ request }) => request)).toEqual([
    { groupIds: ['g', 'h'] },
    { groupIds: ['h'] },
  ]);
});

test('offsets are forgotten by partition', async () => {
  const { admin, fake, group } = await setUp();
  fake.commit(group, 't', 0, 1);
  fake.commit(group, 't', 1, 1);
  await admin.deleteOffsets('g', [{ topic: 't', partition: 0 }]);
  expect(fake.offsetsOf('g')).toEqual({ 't-1': 1 });
  const unknown = [{ topic: 'nope', partition: 0 }];
  await expect(admin.deleteOffsets('g', unknown)).rejects.toThrow('no topic "nope"');
});
