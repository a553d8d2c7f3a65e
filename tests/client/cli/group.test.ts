import { expect, test } from '@jest/globals';
import { COMMIT_TIME_MS } from '../support/fake-admin.js';
import { useFakeBroker } from '../support/harness.js';
import { administrate, asText } from './administration.js';
import { run } from './command.js';

const harness = useFakeBroker();

test('groups are listed, all or those in a state', async () => {
  const { fake, millrace, json } = await administrate(harness());
  fake.join(fake.group('busy'), 'shop', 't', [0]);
  fake.group('idle');
  expect((await millrace('group', 'list')).stdout).toBe(
    'GROUP  STATE   MEMBERS  PROTOCOL\n' +
      'busy   Stable        1  consumer\n' +
      'idle   Empty         0  consumer\n',
  );
  expect(await json('group', 'list', '--state', 'stable')).toEqual([
    { groupId: 'busy', protocolType: 'consumer', state: 'Stable', members: 1 },
  ]);
  expect(await json('group', 'list', '-s', 'Stable', '-s', 'Empty')).toHaveLength(2);
});

test('no groups are an empty table, and a hint beside it', async () => {
  const { fake, millrace, json } = await administrate(harness());
  const { code, stdout, stderr } = await millrace('group', 'list');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'GROUP  STATE  MEMBERS  PROTOCOL\n' });
  expect(stderr).toContain('`millrace consume TOPIC --group NAME` makes one');
  expect(await json('group', 'list')).toEqual([]);
  fake.group('idle');
  const none = await millrace('group', 'list', '--state', 'Stable');
  expect(none.stderr).toBe('millrace: no group is Stable; without --state all are listed\n');
});

test('describe shows who reads what, and how far behind', async () => {
  const { fake, millrace } = await administrate(harness());
  const group = fake.group('g');
  fake.join(group, 'shop', 't', [0]);
  fake.join(group, 'idler', 't', []);
  fake.commit(group, 't', 0, 1);
  expect(await millrace('group', 'describe', 'g')).toEqual({
    code: 0,
    stderr: '',
    stdout:
      'Group g: Stable, protocol cooperative-sticky, generation 3, 2 members, ' +
      'total lag at least 3, 1 partition without a commit\n\n' +
      'TOPIC  PARTITION  COMMITTED  END  LAG  MEMBER  CLIENT  HOST\n' +
      't              0          1    4    3  shop-1  shop    10.0.0.7\n' +
      't              1          -    1    -  -       -       -\n\n' +
      'MEMBERS-WITHOUT-PARTITIONS  CLIENT  HOST\n' +
      'idler-1                     idler   10.0.0.7\n',
  });
});

test('the table fits a terminal: of the id that the broker gave, the first digits are shown', async () => {
  const { fake, millrace } = await administrate(harness());
  const group = fake.group('g');
  fake.join(group, 'millrace-cli', 't', [0, 1]);
  const uuid = '0f8fad5b-d9cb-469f-a165-70867728950e';
  group.members = group.members.map((member) => ({
    ...member,
    memberId: `${member.clientId}-${uuid}`,
  }));
  for (const partition of [0, 1]) fake.commit(group, 't', partition, 0);
  const { stdout } = await millrace('group', 'describe', 'g');
  expect(stdout).toContain('  0f8fad5b  millrace-cli  10.0.0.7\n');
  expect(stdout).toContain('MEMBER    CLIENT        HOST\n');
});

test('what nobody has committed is not passed for read', async () => {
  const { fake, millrace, json } = await administrate(harness());
  const group = fake.group('g');
  fake.join(group, 'shop', 't', [0, 1]);
  const header = async () => (await millrace('group', 'describe', 'g')).stdout.split('\n')[0];
  expect(await header()).toContain('1 member, total lag unknown, 2 partitions without a commit');
  expect(await json('group', 'describe', 'g')).toMatchObject({ totalLag: null });
  fake.commit(group, 't', 0, 1);
  fake.commit(group, 't', 1, 1);
  expect(await header()).toMatch(/1 member, total lag 3$/);
  group.state = 'PreparingRebalance';
  expect(await header()).toMatch(/1 member, total lag at least 3$/);
});

test('a group without members has its offsets only', async () => {
  const { fake, millrace } = await administrate(harness());
  const group = fake.group('g');
  fake.commit(group, 't', 0, 4);
  fake.commit(group, 't', 1, 0);
  expect((await millrace('group', 'describe', 'g')).stdout).toBe(
    'Group g: Empty, generation 3, 0 members, total lag 1\n\n' +
      'TOPIC  PARTITION  COMMITTED  END  LAG\n' +
      't              0          4    4    0\n' +
      't              1          0    1    1\n',
  );
});

test('describe in JSON has the members, the offsets and who reads each', async () => {
  const { fake, json } = await administrate(harness());
  const group = fake.group('g');
  fake.join(group, 'shop', 't', [0]);
  fake.join(group, 'odd', 't', [1]);
  fake.commit(group, 't', 0, 1);
  group.members = group.members.map((member) =>
    member.clientId === 'odd' ? { ...member, assignment: Buffer.from('?') } : member,
  );
  const common = { groupInstanceId: null, clientHost: '10.0.0.7' };
  expect(await json('group', 'describe', 'g')).toEqual({
    groupId: 'g',
    state: 'Stable',
    protocolType: 'consumer',
    protocolName: 'cooperative-sticky',
    coordinator: 1,
    generation: 3,
    totalLag: null,
    members: [
      { ...common, memberId: 'odd-1', clientId: 'odd', partitions: null, assignment: 'Pw==' },
      {
        ...common,
        memberId: 'shop-1',
        clientId: 'shop',
        partitions: [{ topic: 't', partition: 0 }],
      },
    ],
    offsets: [
      {
        topic: 't',
        partition: 0,
        committedOffset: 1,
        startOffset: 0,
        endOffset: 4,
        lag: 3,
        metadata: 'at 1',
        commitTimeMs: COMMIT_TIME_MS,
        memberId: 'shop-1',
      },
      {
        topic: 't',
        partition: 1,
        committedOffset: null,
        startOffset: 0,
        endOffset: 1,
        lag: null,
        metadata: null,
        commitTimeMs: null,
        memberId: null,
      },
    ],
  });
});

test('a group that does not exist is one line that says how to find those that do', async () => {
  const { millrace } = await administrate(harness());
  const expected =
    'millrace: there is no group "nope"; `millrace group list` shows those there are\n';
  for (const args of [
    ['describe', 'nope'],
    ['delete', 'nope'],
    ['reset', 'nope', '--to', 'end'],
  ]) {
    expect(await millrace('group', ...args)).toEqual({ code: 1, stdout: '', stderr: expected });
  }
});

test('reset shows old and new offsets, and a dry run does nothing', async () => {
  const { fake, millrace, json } = await administrate(harness());
  fake.commit(fake.group('g'), 't', 0, 2);
  const table =
    'TOPIC  PARTITION  OLD  NEW\n' +
    't              0    2    0\n' +
    't              1    -    0\n';
  expect(await millrace('group', 'reset', 'g', '--to', 'beginning', '--dry-run')).toEqual({
    code: 0,
    stdout: table,
    stderr: 'millrace: nothing was changed; do it without --dry-run\n',
  });
  expect(fake.offsetsOf('g')).toEqual({ 't-0': 2 });
  expect(await millrace('group', 'reset', 'g', '--to', 'beginning')).toEqual({
    code: 0,
    stdout: table,
    stderr: 'millrace: reset 2 offsets of group "g"\n',
  });
  expect(fake.offsetsOf('g')).toEqual({ 't-0': 0, 't-1': 0 });
  expect(await json('group', 'reset', 'g', '--to', 'end', '--topic', 't:1')).toEqual([
    { topic: 't', partition: 1, oldOffset: 0, newOffset: 1, clampedFrom: null },
  ]);
});

test.each([
  ['3', [3, 1]],
  ['+1', [3, 1]],
  ['-1', [1, 0]],
  ['2026-01-31T12:00:01Z', [1, 0]],
  ['2026-01-31T21:00:02', [2, 0]],
  ['2026-01-31', [0, 0]],
  ['2026-02-01T00:00+09:00', [4, 1]],
])('reset --to %s', async (to, [first, second]) => {
  const { broker, fake } = await administrate(harness());
  const group = fake.group('g');
  fake.commit(group, 't', 0, 2);
  fake.commit(group, 't', 1, 0);
  const args = ['--broker', broker.address, 'group', 'reset', 'g', '--to', to];
  // Where it is 21:00 when it is 12:00 in UTC.
  const { code, stderr } = asText(await run(args, { env: { TZ: 'Asia/Tokyo' } }));
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(fake.offsetsOf('g')).toEqual({ 't-0': first, 't-1': second });
});

test('reset says what it had to clamp', async () => {
  const { fake, millrace } = await administrate(harness());
  fake.commit(fake.group('g'), 't', 0, 2);
  const { code, stderr } = await millrace('group', 'reset', 'g', '--to', '+9', '--dry-run');
  expect(code).toBe(0);
  expect(stderr).toContain('millrace: t-0 does not hold offset 11: 4 is the nearest\n');
});

test('reset of an active group is refused with its members', async () => {
  const { fake, millrace } = await administrate(harness());
  const group = fake.group('g');
  fake.join(group, 'shop', 't', [0]);
  fake.commit(group, 't', 0, 2);
  for (const extra of [[], ['--dry-run']]) {
    const { code, stdout, stderr } = await millrace('group', 'reset', 'g', '--to', 'end', ...extra);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^millrace: group "g" is active \(Stable, with members "shop" at .*\n$/);
  }
  expect(fake.offsetsOf('g')).toEqual({ 't-0': 2 });
});

test('reset without a commit and without a topic says what to do', async () => {
  const { fake, millrace } = await administrate(harness());
  fake.group('g');
  const { code, stderr } = await millrace('group', 'reset', 'g', '--to', 'end');
  expect(code).toBe(0);
  expect(stderr).toContain('name topics with --topic');
});

test('groups are deleted, those that can be', async () => {
  const { fake, millrace, json } = await administrate(harness());
  fake.group('a');
  fake.group('b');
  fake.group('c');
  fake.join(fake.group('busy'), 'shop', 't', [0]);
  expect(await millrace('group', 'delete', 'a')).toEqual({
    code: 0,
    stdout: 'Deleted group a\n',
    stderr: '',
  });
  expect(await json('group', 'delete', 'b')).toEqual({ deleted: ['b'] });
  const { code, stdout, stderr } = await millrace('group', 'delete', 'c', 'busy', 'nope');
  expect({ code, stdout }).toEqual({ code: 1, stdout: 'Deleted group c\n' });
  expect(stderr).toMatch(/group "busy" is active .*; there is no group "nope"/);
  expect([...fake.groups.keys()]).toEqual(['busy']);
  fake.group('d');
  expect(await millrace('group', 'delete', 'nope', 'd', '--json')).toEqual({
    code: 1,
    stdout: '{"deleted":["d"]}\n',
    stderr: 'millrace: there is no group "nope"; `millrace group list` shows those there are\n',
  });
});

test('a wrong command line is exit code 2, and nothing is asked of a broker', async () => {
  const { broker, millrace } = await administrate(harness());
  broker.calls.length = 0;
  for (const args of [
    ['list', '--state', 'nonsense'],
    ['describe'],
    ['delete'],
    ['reset', 'g'],
    ['reset', 'g', '--to', 'yesterday'],
    ['reset', 'g', '--to', 'end', '--topic', 't:x'],
  ]) {
    const { code, stderr } = await millrace('group', ...args);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).toMatch(/^millrace: .*\n$/);
  }
  expect(broker.calls).toEqual([]);
});
