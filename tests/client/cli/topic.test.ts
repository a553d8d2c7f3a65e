import { expect, test } from '@jest/globals';
import { useFakeBroker } from '../support/harness.js';
import { administrate } from './administration.js';

const harness = useFakeBroker();

test("the broker's own topics are listed only when asked for", async () => {
  const { broker, millrace, json } = await administrate(harness());
  broker.createTopic('__offsets');
  expect(await json('topic', 'list')).toMatchObject([{ name: 't' }]);
  expect(await json('topic', 'list', '--all')).toMatchObject([{ name: '__offsets' }, {}]);
  broker.topics.delete('t');
  const { code, stdout, stderr } = await millrace('topic', 'list');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'NAME  PARTITIONS  ID\n' });
  expect(stderr).toBe(
    'millrace: there are no topics yet; `millrace topic create NAME` makes one\n',
  );
});

test('describe shows high watermark, segments and bytes in aligned columns', async () => {
  const { millrace, json } = await administrate(harness());
  const { stdout } = await millrace('topic', 'describe', 't');
  const [summary, , header, first] = stdout.split('\n');
  expect(summary).toMatch(
    /^Topic t \(id [0-9a-f]{32}\): 2 partitions, \d+ B of messages, 0 B on disk$/,
  );
  expect(header).toBe(
    'PARTITION  LEADER  EPOCH  START  END  HIGH-WM  SEGMENTS  BYTES  ON-DISK  STATE',
  );
  expect(first).toMatch(/^ {8}0 {7}1 {6}0 {6}0 {4}4 {8}4 {9}1 {4}\d{3} {8}0 {2}online$/);
  expect(await json('topic', 'describe', 't')).toMatchObject({
    internal: false,
    partitions: [{ highWatermark: 4, segments: 1, diskBytes: 0, state: 'online' }, {}],
  });
});

test('config shows values and where they come from', async () => {
  const { millrace, json } = await administrate(harness());
  expect((await millrace('topic', 'config', 't')).stdout).toMatch(
    /^CONFIG +VALUE +SOURCE\nsegment\.bytes +1073741824 +default\n/,
  );
  expect(await json('topic', 'config', 't')).toContainEqual({
    key: 'segment.bytes',
    value: '1073741824',
    source: 'default',
  });
});

test('alter sets and unsets, and says what is in force', async () => {
  const { fake, millrace } = await administrate(harness());
  const args = ['--set', 'retention.ms=5', 'a.b=x=y', '--unset', 'segment.bytes'];
  const { code, stdout } = await millrace('topic', 'alter', 't', ...args);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Changed topic t\n\nCONFIG +VALUE +SOURCE\nsegment\.bytes/);
  expect([...(fake.configs.get('t') ?? [])]).toEqual([
    ['retention.ms', '5'],
    ['a.b', 'x=y'],
  ]);
  const checked = await millrace('topic', 'alter', 't', '--set', 'c.d=1', '--validate-only');
  expect(checked.stdout).toBe('The change to topic t is valid; nothing was changed\n');
  expect(fake.configs.get('t')?.has('c.d')).toBe(false);
  expect(await millrace('topic', 'alter', 't', '--set', 'nonsense=1')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('"nonsense"') as unknown,
  });
});

test('add-partitions warns that keys move', async () => {
  const { broker, millrace, json } = await administrate(harness());
  const { code, stdout, stderr } = await millrace('topic', 'add-partitions', 't', '--total', '4');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'Topic t has 4 partitions now\n' });
  expect(stderr).toMatch(/^millrace: messages with a key can go to another partition .*\n$/);
  expect(await json('topic', 'add-partitions', 't', '--total', '5')).toEqual({
    name: 't',
    partitions: 5,
  });
  expect(broker.topics.get('t')?.partitions).toHaveLength(5);
  const refused = await millrace('topic', 'add-partitions', 't', '--total', '5');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('topic t has 5 partitions already');
});

test('delete-records needs --yes where nobody can be asked', async () => {
  const { broker, millrace, json } = await administrate(harness());
  const command = ['topic', 'delete-records', 't', '--partition', '0', '--before'];
  const refused = await millrace(...command, '3');
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/^millrace: this cannot be undone.* --yes\n$/);
  expect(broker.calls.some(({ api }) => api === 'deleteRecords')).toBe(false);
  const { code, stdout } = await millrace(...command, '3', '--yes');
  expect(code).toBe(0);
  expect(stdout).toBe(
    'TOPIC  PARTITION  OLD-START  NEW-START\nt              0          0          3\n',
  );
  expect(await json(...command, 'end', '-p', '1', '--yes')).toEqual([
    { topic: 't', partition: 0, startOffset: 4 },
    { topic: 't', partition: 1, startOffset: 1 },
  ]);
  expect(await millrace(...command, '99', '--yes')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('t-0 before 99') as unknown,
  });
});

test('a wrong command line is exit code 2, and nothing is asked of a broker', async () => {
  const { broker, millrace } = await administrate(harness());
  broker.calls.length = 0;
  for (const args of [
    ['topic', 'alter', 't'],
    ['topic', 'alter', 't', '--set', 'novalue'],
    ['topic', 'alter', 't', '--unset', 'a=b'],
    ['topic', 'alter', 't', '--set', 'a=1', '--unset', 'a'],
    ['topic', 'add-partitions', 't'],
    ['topic', 'add-partitions', 't', '--total', '0'],
    ['topic', 'delete-records', 't', '--before', '5', '--yes'],
    ['topic', 'delete-records', 't', '-p', 'x', '--before', '5', '--yes'],
    ['topic', 'delete-records', 't', '-p', '0', '--before', '-5', '--yes'],
    ['topic', 'config'],
    ['cluster'],
    ['cluster', 'info', 'extra'],
  ]) {
    const { code, stderr } = await millrace(...args);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).not.toBe('');
  }
  expect(broker.calls).toEqual([]);
});

test('a topic that does not exist is said to by every command, with exit code 1', async () => {
  const { millrace } = await administrate(harness());
  for (const args of [
    ['config', 'nope'],
    ['alter', 'nope', '--set', 'a.b=1'],
    ['add-partitions', 'nope', '--total', '3'],
    ['delete-records', 'nope', '-p', '0', '--before', '1', '--yes'],
  ]) {
    const { code, stderr } = await millrace('topic', ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: there is no topic "nope".*\n$/);
  }
});

test('cluster info shows the brokers and what they hold', async () => {
  const { broker, fake, millrace, json } = await administrate(harness());
  fake.group('g');
  const { stdout } = await millrace('cluster', 'info');
  expect(stdout).toBe(
    'Cluster fake\n1 topic, 2 partitions, 1 group, 3.0 MiB (3145728 B) of messages\n\n' +
      `NODE  ADDRESS${' '.repeat(broker.address.length - 7)}  VERSION  MODE      PERSIST  ` +
      'SERVE     STARTED\n' +
      `   1  ${broker.address}  0.0.0    millrace  mmap     sendfile  ` +
      '2026-01-31T12:00:00Z\n',
  );
  expect(await json('cluster', 'info')).toMatchObject({
    clusterId: 'fake',
    nodes: [{ nodeId: 1, address: broker.address }],
    logBytes: 3_145_728,
  });
});
