import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { ProduceRequest } from '@millrace/protocol';
import { numbers, until, useFakeBroker, valuesOf } from '../support/harness.js';
import { run, start } from './command.js';

const harness = useFakeBroker();

function millrace(args: readonly string[], input: string | Buffer = '') {
  return run(['--broker', harness().broker.address, ...args], { input });
}

test('topics are created, listed, described and deleted', async () => {
  const created = await millrace(['topic', 'create', 'orders', '--partitions', '2']);
  expect(created).toMatchObject({ code: 0, stderr: '' });
  expect(created.stdout.toString()).toBe('Created topic orders with 2 partitions\n');
  const listed = (await millrace(['topic', 'list'])).stdout.toString();
  expect(listed).toMatch(/^NAME +PARTITIONS +ID\norders +2 +[0-9a-f]{32}\n$/);
  const json = (await millrace(['topic', 'list', '--json'])).stdout.toString();
  expect(JSON.parse(json)).toMatchObject([{ name: 'orders', partitions: 2 }]);
  const described = (await millrace(['topic', 'describe', 'orders'])).stdout.toString();
  expect(described).toMatch(/PARTITION +LEADER +EPOCH +START +END +HIGH-WM .*\n +0 +1 +0/);
  expect(described).toMatch(/segment\.bytes +1073741824 +default/);
  const parsed: unknown = JSON.parse(
    (await millrace(['topic', 'describe', 'orders', '--json'])).stdout.toString(),
  );
  expect(parsed).toMatchObject({ name: 'orders', partitions: [{ partition: 0 }, {}] });
  expect(await millrace(['topic', 'delete', 'orders'])).toMatchObject({ code: 0 });
  expect(harness().broker.topics.size).toBe(0);
});

test('lines go in and values come out; an unfinished last line counts', async () => {
  const { broker } = harness();
  broker.createTopic('t');
  expect(await millrace(['produce', 't'], 'one\n\ntwo\r\nthree')).toMatchObject({
    code: 0,
    stderr: '',
  });
  const consumed = await millrace(['consume', 't', '--exit-at-end']);
  expect(consumed).toMatchObject({ code: 0, stderr: '' });
  expect(consumed.stdout.toString()).toBe('one\n\ntwo\r\nthree\n');
});

test('bytes that are no text pass unchanged', async () => {
  harness().broker.createTopic('t');
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index)).filter(
    (byte) => byte !== 10,
  );
  await millrace(['produce', 't'], Buffer.from(bytes));
  const { stdout } = await millrace(['consume', 't', '-e', '--format', '%v']);
  expect(stdout).toEqual(Buffer.from(bytes));
});

test('keys, headers and formats', async () => {
  const { broker } = harness();
  broker.createTopic('t');
  const produce = ['produce', 't', '--key-delimiter', '::', '--header', 'a=1', '--header', 'b=x=y'];
  await millrace(produce, 'k::v::w\nplain\n');
  const format = String.raw`%t-%p@%o %k|%v [%h] 100%% %T\t\\\n`;
  const { stdout } = await millrace(['consume', 't', '-e', '-F', format]);
  const lines = stdout.toString().split('\n');
  expect(lines[0]).toMatch(/^t-0@0 k\|v::w \[a=1,b=x=y\] 100% \d{13}\t\\$/);
  expect(lines[1]).toMatch(/^t-0@1 \|plain \[a=1,b=x=y\] 100% \d{13}\t\\$/);
});

test('--json prints one object a line, with base64 for what is no text', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer();
  await producer.send('t', { key: 'k', value: 'ü', headers: { h: 'x' }, timestampMs: 5 });
  await producer.send('t', { value: Buffer.from([0xff]), timestampMs: 6 });
  await producer.send('t', { value: null, timestampMs: 7 });
  const { stdout } = await millrace(['consume', 't', '-e', '--json']);
  const rows = stdout.toString().trimEnd().split('\n');
  const common = { topic: 't', partition: 0, headers: {} };
  expect(rows.map((row): unknown => JSON.parse(row))).toEqual([
    { ...common, offset: 0, timestampMs: 5, key: 'k', value: 'ü', headers: { h: 'x' } },
    { ...common, offset: 1, timestampMs: 6, key: null, value: { base64: '/w==' } },
    { ...common, offset: 2, timestampMs: 7, key: null, value: null },
  ]);
});

test('where to start, which partitions, and when to stop', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 2);
  const producer = client.producer();
  for (const value of numbers(10)) {
    await producer.send('t', {
      value,
      partition: 1,
      timestampMs: Date.UTC(2026, 0, 1) + Number(value),
    });
  }
  await producer.send('t', { value: 'other', partition: 0, timestampMs: 1 });
  const read = async (...args: string[]): Promise<string> =>
    (await millrace(['consume', 't', '-e', '-F', '%v ', ...args])).stdout.toString();
  expect(await read('--partition', '1', '--from', '7')).toBe('7 8 9 ');
  expect(await read('--from', '2026-01-01T00:00:00.008Z')).toBe('8 9 ');
  expect(await read('--partition', '1', '--max-messages', '3')).toBe('0 1 2 ');
  expect(await read('--from', 'end')).toBe('');
  expect(await read('--partition', '0')).toBe('other ');
});

test('acks, compression and partition reach the broker; lines may come from a file', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 3);
  const directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  const file = join(directory, 'lines.txt');
  writeFileSync(file, numbers(50_000).join('\n'));
  const args = ['--acks', '1', '--compression', 'zstd', '--partition', '2', '--file', file];
  expect(await millrace(['produce', 't', ...args])).toMatchObject({ code: 0, stderr: '' });
  rmSync(directory, { recursive: true });
  const requests = broker.callsOf('produce').map(({ request }) => request as ProduceRequest);
  expect(new Set(requests.map(({ acks }) => acks))).toEqual(new Set([1]));
  expect(new Set(requests.flatMap(({ entries }) => entries.map((e) => e.partition)))).toEqual(
    new Set([2]),
  );
  expect(await valuesOf(client, 't')).toEqual(numbers(50_000));
});

test('a reader that goes away ends it quietly', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const producer = client.producer();
  for (let count = 0; count < 50_000; count += 1) {
    if (!producer.enqueue('t', { value: 'x'.repeat(100) })) await producer.ready();
  }
  await producer.flush();
  const { child, ended } = start(['--broker', broker.address, 'consume', 't']);
  await once(child.stdout, 'data');
  child.stdout.destroy();
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
});

test('Ctrl-C ends a consumer with 130 and nothing on stderr', async () => {
  const { broker } = harness();
  broker.createTopic('t');
  const { child, ended } = start(['--broker', broker.address, 'consume', 't']);
  await until(() => broker.callsOf('fetch').length > 0);
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 130, stderr: '' });
});

test('Ctrl-C in the middle of typing sends what was typed before', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const { child, ended } = start(['--broker', broker.address, 'produce', 't']);
  child.stdin.write('one\ntwo\nunfini');
  await until(() => broker.callsOf('produce').length > 0);
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 130, stderr: '' });
  expect(await valuesOf(client, 't')).toEqual(['one', 'two']);
});

test('failures are one line that says what to do, with exit code 1', async () => {
  const { broker } = harness();
  broker.createTopic('t');
  const one = async (args: string[], input = ''): Promise<string> => {
    const { code, stderr } = await millrace(args, input);
    expect(code).toBe(1);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    return stderr;
  };
  expect(await one(['consume', 'nope'])).toContain('there is no topic "nope"');
  expect(await one(['produce', 'nope'], 'v\n')).toContain('there is no topic "nope"');
  expect(await one(['topic', 'create', 't'])).toContain('create topic "t"');
  expect(await one(['produce', 't', '--file', '/no/such/file'])).toContain('/no/such/file');
  await broker.stop();
  const gone = await one(['topic', 'list']);
  expect(gone).toContain(`cannot reach ${broker.address}`);
  expect(gone).toContain('npm start');
});

test('a delivery that fails ends produce before all of its input is read', async () => {
  const { broker } = harness();
  broker.createTopic('t');
  broker.intercept = ({ api }) =>
    api === 'produce' ? { kind: 'row-error', name: 'PARTITION_OFFLINE' } : undefined;
  const { child, ended } = start(['--broker', broker.address, 'produce', 't']);
  const feed = setInterval(() => child.stdin.write('line\n'), 5);
  const { code, stderr } = await ended;
  clearInterval(feed);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^millrace: .*t-0 (was|were) not delivered.*\n$/);
});

test('a wrong command line is exit code 2', async () => {
  harness().broker.createTopic('t');
  for (const args of [
    [],
    ['nonsense'],
    ['topic', 'create'],
    ['topic', 'create', 'x', '--partitions', '0'],
    ['topic', 'create', 'x', '--config', 'novalue'],
    ['consume', 't', '--format', '%x'],
    ['consume', 't', '--format', '%v', '--json'],
    ['consume', 't', '--from', 'yesterday'],
    ['produce', 't', '--acks', '2'],
    ['produce', 't', '--header', 'novalue'],
    ['--broker', 'no port:', 'topic', 'list'],
  ]) {
    const { code, stderr } = await millrace(args);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).not.toBe('');
  }
});

test('MILLRACE_BROKER names the broker; --version and --help are no errors', async () => {
  const { broker } = harness();
  const env = { MILLRACE_BROKER: broker.address };
  expect(await run(['topic', 'list'], { env })).toMatchObject({ code: 0 });
  expect(await run(['--version'])).toMatchObject({ code: 0 });
  expect((await run(['consume', '--help'])).stdout.toString()).toContain('%T timestamp');
});
