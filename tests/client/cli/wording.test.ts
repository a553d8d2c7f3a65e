import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { OffsetOutOfRangeError } from '@millrace/client';
import { explain, explainWarning } from '../../../client/src/cli/explain.js';
import { numbers, until, useFakeBroker } from '../support/harness.js';
import { run, start } from './command.js';

const harness = useFakeBroker();

function millrace(args: readonly string[], input = '') {
  return run(['--broker', harness().broker.address, ...args], { input });
}

test('an unknown topic is answered with the command that creates it', async () => {
  for (const args of [
    ['consume', 'nope'],
    ['produce', 'nope'],
  ]) {
    const { code, stderr } = await millrace(args, 'v\n');
    expect(code).toBe(1);
    expect(stderr).toBe(
      'millrace: there is no topic "nope"; create it with `millrace topic create nope`\n',
    );
  }
  for (const args of [
    ['topic', 'describe', 'nope'],
    ['topic', 'delete', 'nope'],
  ]) {
    const { code, stderr } = await millrace(args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: there is no topic "nope"[^:]*\n$/);
    expect(stderr).not.toContain('admin.');
  }
});

test('a wrong partition is the same failure in produce and consume', async () => {
  harness().broker.createTopic('t', 2);
  const expected = 'millrace: topic "t" has no partition 7, only 0 to 1\n';
  const produced = await millrace(['produce', 't', '--partition', '7'], 'v\n');
  expect(produced).toMatchObject({ code: 1, stderr: expected });
  const consumed = await millrace(['consume', 't', '--partition', '7']);
  expect(consumed).toMatchObject({ code: 1, stderr: expected });
});

test('a wrong command line is one line of the same style', async () => {
  for (const args of [
    ['topic', 'lsit'],
    ['produce'],
    ['consume', 't', '--fromm', 'end'],
    ['topic', 'create', 't', '--partitions', '0'],
    ['consume', 't', '--from', 'x'.repeat(10_000)],
  ]) {
    const { code, stderr } = await millrace(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^millrace: [^\n]*\n$/);
    expect(stderr.length).toBeLessThan(400);
  }
});

test('a command that is cut short is suggested in full', async () => {
  const { code, stderr } = await millrace(['group', 'desc', 'g']);
  expect(code).toBe(2);
  expect(stderr).toContain("unknown command 'desc' (Did you mean describe?)");
});

test('a position out of range says what there is, and what the command does or what to do', () => {
  const error = new OffsetOutOfRangeError(
    'Offset 5 of t-0 is out of range: it holds offsets 7 to 8. Start within that, or say with ' +
      'onOutOfRange where to go on',
    { topic: 't', partition: 0, offset: 5, beginningOffset: 7, endOffset: 9 },
  );
  const what = 'offset 5 of t-0 is out of range: it holds offsets 7 to 8; ';
  expect(explain(error)).toBe(`${what}start again with another --from`);
  expect(explainWarning(error)).toBe(`${what}it goes on at offset 7`);
});

test('SIGTERM ends a consumer with 143', async () => {
  const { broker } = harness();
  broker.createTopic('t');
  const { child, ended } = start(['--broker', broker.address, 'consume', 't']);
  await until(() => broker.callsOf('fetch').length > 0);
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 143, stderr: '' });
});

test('an offset that a partition does not have starts at its nearest', async () => {
  const { broker, client } = harness();
  const topic = broker.createTopic('t', 3);
  const producer = client.producer({ batchBytes: 1 });
  for (const value of numbers(6)) await producer.send('t', { value, partition: 1 });
  for (const value of numbers(2)) await producer.send('t', { value, partition: 2 });
  const [, held] = topic.partitions;
  if (held === undefined) throw new Error('No partition');
  held.batches = held.batches.slice(4);
  held.startOffset = 4;
  const read = async (from: string): Promise<string[]> => {
    const args = ['consume', 't', '-e', '--from', from, '-F', String.raw`%p:%o\n`];
    const { code, stdout, stderr } = await millrace(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout.toString().split('\n').filter(Boolean).sort();
  };
  expect(await read('1')).toEqual(['1:4', '1:5', '2:1']);
  expect(await read('99')).toEqual([]);
});

test('the help says how times, offsets and null keys are read', async () => {
  const help = (await run(['consume', '--help'])).stdout.toString().replace(/\s+/g, ' ');
  expect(help).toContain('local time');
  expect(help).toMatch(/past the end/);
  expect(help).toMatch(/null/);
});

test('create --if-not-exists is content with a topic that is there', async () => {
  const { broker } = harness();
  const topic = broker.createTopic('t', 3);
  expect(await millrace(['topic', 'create', 't'])).toMatchObject({ code: 1 });
  const again = await millrace(['topic', 'create', 't', '--if-not-exists', '-p', '5']);
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(again.stdout.toString()).toBe('Topic t exists already, with 3 partitions\n');
  const json = await millrace(['topic', 'create', 't', '--if-not-exists', '--json']);
  expect(JSON.parse(json.stdout.toString())).toMatchObject({ topicId: topic.id, partitions: 3 });
  const made = await millrace(['topic', 'create', 'new', '--if-not-exists']);
  expect(made.stdout.toString()).toBe('Created topic new with 1 partition\n');
});

test('a message is printed with every header it has, also in JSON', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const headers = [
    ['a', 'b'],
    ['a', 'c'],
  ] as const;
  await client.producer().send('t', { value: 'v', headers });
  const { child, ended } = start(['--broker', broker.address, 'consume', 't', '--json']);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGINT');
  await ended;
  expect(JSON.parse(line.toString())).toMatchObject({ headers: { a: ['b', 'c'] } });
});

test('a time without a zone is local, with and without an hour', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer();
  // Midnight of 31 January in Tokyo is 15:00 of the 30th in UTC.
  for (const hour of [14, 15, 16]) {
    const timestampMs = Date.UTC(2026, 0, 30, hour);
    await producer.send('t', { value: String(hour), timestampMs });
  }
  for (const [from, expected] of [
    ['2026-01-31', '15 16 '],
    ['2026-01-31T01:00', '16 '],
    ['2026-01-30T14:00Z', '14 15 16 '],
  ] as const) {
    const args = ['--broker', broker.address, 'consume', 't', '-e', '--from', from, '-F', '%v '];
    const { stdout } = await run(args, { env: { TZ: 'Asia/Tokyo' } });
    expect({ from, read: stdout.toString() }).toEqual({ from, read: expected });
  }
});
