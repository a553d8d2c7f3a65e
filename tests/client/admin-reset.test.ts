import { expect, test } from '@jest/globals';
import type { ResetOffsetsOptions, ResetTarget } from '@millrace/client';
import { FakeAdmin } from './support/fake-admin.js';
import { useFakeBroker } from './support/harness.js';

const harness = useFakeBroker();

/** Topic `t`: partition 0 holds offsets 1 to 3, partition 1 holds 0; `g` is at 2 in the first. */
async function setUp() {
  const { broker, client } = harness();
  const fake = new FakeAdmin(broker);
  const topic = broker.createTopic('t', 2);
  const producer = client.producer({ batchBytes: 1 });
  for (const [index, partition] of [0, 0, 0, 0, 1].entries()) {
    await producer.send('t', { value: 'v', partition, timestampMs: 1_000 * (index + 1) });
  }
  const [first] = topic.partitions;
  if (first === undefined) throw new Error('No partition');
  first.batches = first.batches.slice(1);
  first.startOffset = 1;
  const group = fake.group('g');
  fake.commit(group, 't', 0, 2);
  return { broker, admin: client.admin, fake, group };
}

test.each<[string, ResetTarget, [number, number]]>([
  ['the beginning', 'beginning', [1, 0]],
  ['the end', 'end', [4, 1]],
  ['an offset', { offset: 3 }, [3, 1]],
  ['a time', { timestampMs: 2_500 }, [2, 0]],
  ['a date', new Date(4_000), [3, 0]],
  ['a time after the last message', { timestampMs: 9_000 }, [4, 1]],
])('offsets are reset to %s', async (_, to, [first, second]) => {
  const { admin, fake } = await setUp();
  const done = await admin.resetOffsets('g', { to });
  expect(done).toMatchObject([
    { topic: 't', partition: 0, oldOffset: 2, newOffset: first },
    { topic: 't', partition: 1, oldOffset: null, newOffset: second },
  ]);
  expect(fake.offsetsOf('g')).toEqual({ 't-0': first, 't-1': second });
});

test('a shift moves what is committed, within what is held', async () => {
  const { admin } = await setUp();
  const common = { topic: 't', partition: 0 };
  const shift = (by: number) => admin.resetOffsets('g', { to: { shift: by } });
  expect(await shift(1)).toEqual([{ ...common, oldOffset: 2, newOffset: 3, clampedFrom: null }]);
  expect(await shift(9)).toEqual([{ ...common, oldOffset: 3, newOffset: 4, clampedFrom: 12 }]);
  expect(await shift(-10)).toEqual([{ ...common, oldOffset: 4, newOffset: 1, clampedFrom: -6 }]);
});

test('a shift where nothing is committed is refused', async () => {
  const { admin, broker } = await setUp();
  broker.createTopic('empty');
  const to = { shift: 1 };
  const partitions = [{ topic: 't', partition: 1 }];
  await expect(admin.resetOffsets('g', { to, partitions })).rejects.toThrow(
    'has committed nothing in t-1 that could be shifted',
  );
  await expect(admin.resetOffsets('g', { to, topics: ['empty'] })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

test('topics and partitions that are named, and no others', async () => {
  const { admin, broker, fake } = await setUp();
  broker.createTopic('u', 2);
  const partitions = [{ topic: 't', partition: 1 }];
  await admin.resetOffsets('g', { to: 'end', topics: ['u'], partitions });
  expect(fake.offsetsOf('g')).toEqual({ 't-0': 2, 't-1': 1, 'u-0': 0, 'u-1': 0 });
  const wrong = [{ topic: 't', partition: 5 }];
  await expect(admin.resetOffsets('g', { to: 'end', partitions: wrong })).rejects.toThrow(
    'has no partition 5',
  );
  await expect(admin.resetOffsets('g', { to: 'end', topics: ['nope'] })).rejects.toThrow(
    'no topic "nope"',
  );
});

test('a dry run tells what would be, and does nothing', async () => {
  const { admin, fake, broker } = await setUp();
  const planned = await admin.resetOffsets('g', { to: 'beginning', dryRun: true });
  expect(planned.map(({ newOffset }) => newOffset)).toEqual([1, 0]);
  expect(fake.offsetsOf('g')).toEqual({ 't-0': 2 });
  expect(broker.callsOf('offsetCommit')).toEqual([]);
});

test('an active group is refused, with its members, also in a dry run', async () => {
  const { admin, fake, group } = await setUp();
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) fake.join(group, name, 't', []);
  for (const dryRun of [true, false]) {
    const refused = admin.resetOffsets('g', { to: 'end', dryRun });
    await expect(refused).rejects.toMatchObject({ code: 'NON_EMPTY_GROUP' });
    await expect(refused).rejects.toThrow(/Stable, with members "a" at 10.0.0.7, .*, 2 more\)/);
  }
  expect(fake.offsetsOf('g')).toEqual({ 't-0': 2 });
});

test('a group that becomes active meanwhile is refused in the same words', async () => {
  const { admin, fake, group, broker } = await setUp();
  broker.intercept = ({ api }) => {
    if (api === 'offsetCommit') fake.join(group, 'late', 't', [0]);
    return undefined;
  };
  await expect(admin.resetOffsets('g', { to: 'end' })).rejects.toThrow(/active .*"late" at/);
});

test('a group is made for topics that are named', async () => {
  const { admin, fake } = await setUp();
  await admin.resetOffsets('new', { to: 'end', topics: ['t'] });
  expect(fake.offsetsOf('new')).toEqual({ 't-0': 4, 't-1': 1 });
});

test('what makes no sense is refused before anything is asked', async () => {
  const { admin, broker } = await setUp();
  for (const to of ['now', 5, null, {}, { offset: -1 }, { shift: 0.5 }]) {
    const options = { to } as unknown as ResetOffsetsOptions;
    await expect(admin.resetOffsets('g', options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  }
  const misspelt = { to: 'end', dryrun: true } as ResetOffsetsOptions;
  await expect(admin.resetOffsets('g', misspelt)).rejects.toThrow('did you mean "dryRun"?');
  expect(broker.callsOf('findCoordinator')).toEqual([]);
});
