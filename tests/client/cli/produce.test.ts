import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { until, useFakeBroker, valuesOf } from '../support/harness.js';
import { run, start } from './command.js';

const harness = useFakeBroker();

function produce(args: readonly string[], input: string | Buffer = '') {
  return run(['--broker', harness().broker.address, 'produce', ...args], { input });
}

test('a topic deleted in the middle of many lines ends it with the reason', async () => {
  const { broker } = harness();
  broker.createTopic('m');
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  broker.intercept = ({ api, nth }) =>
    api === 'produce' && nth > 2 ? { kind: 'delay', until: gate } : undefined;
  const { child, ended } = start(['--broker', broker.address, 'produce', 'm']);
  child.stdin.end('y\n'.repeat(3_000_000));
  await until(() => broker.callsOf('produce').length > 2);
  broker.topics.delete('m');
  release();
  const { code, stderr } = await ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^millrace: .*there is no topic "m".*\n$/);
}, 20_000);

test('a failure ends it although no further line comes', async () => {
  const { broker } = harness();
  broker.createTopic('m');
  broker.intercept = ({ api }) =>
    api === 'produce' ? { kind: 'row-error', name: 'PARTITION_OFFLINE' } : undefined;
  const { child, ended } = start(['--broker', broker.address, 'produce', 'm']);
  child.stdin.write('one\n');
  expect(await ended).toMatchObject({ code: 1 });
}, 20_000);

test('Ctrl-C ends it promptly while the broker takes nothing', async () => {
  const { broker } = harness();
  broker.createTopic('m');
  broker.intercept = ({ api }) => (api === 'produce' ? { kind: 'ignore' } : undefined);
  const { child, ended } = start(['--broker', broker.address, 'produce', 'm']);
  child.stdin.write('y\n'.repeat(5_000_000));
  await until(() => broker.callsOf('produce').length > 0);
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 130 });
}, 20_000);

test('SIGTERM ends it with 143, after sending what was read', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const { child, ended } = start(['--broker', broker.address, 'produce', 't']);
  child.stdin.write('one\n');
  await until(() => broker.callsOf('produce').length > 0);
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 143, stderr: '' });
  expect(await valuesOf(client, 't')).toEqual(['one']);
});

test('a repeated header is sent as often as it is given', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await produce(['t', '--header', 'a=b', '--header', 'a=c', '--header', 'd=e'], 'v\n');
  for await (const message of client.consumer({ topics: ['t'], exitAtEnd: true })) {
    expect(message.headerEntries.map(([name, value]) => [name, value?.toString()])).toEqual([
      ['a', 'b'],
      ['a', 'c'],
      ['d', 'e'],
    ]);
  }
  const args = ['--broker', broker.address, 'consume', 't', '-e', '-F', '%h'];
  expect((await run(args)).stdout.toString()).toBe('a=b,a=c,d=e');
});

test("the longest line is what the topic's max.message.bytes says", async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.maxMessageBytes = 1_000;
  const { code, stderr } = await produce(['t'], `one\ntwo\n${'x'.repeat(1_001)}\nfour\n`);
  expect(code).toBe(1);
  expect(stderr).toBe(
    'millrace: line 3 is longer than the 1000 bytes that topic "t" accepts ' +
      '(max.message.bytes); make the line shorter, or create the topic with a larger ' +
      'max.message.bytes (the 2 messages before it were stored)\n',
  );
  expect(await valuesOf(client, 't')).toEqual(['one', 'two']);
});

test('a topic that accepts more than the default takes longer lines', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  broker.maxMessageBytes = 12 * 1024 * 1024;
  expect(await produce(['t'], `${'x'.repeat(10_000_000)}\n`)).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect((await valuesOf(client, 't'))[0]?.length).toBe(10_000_000);
});

test('a line that fits only in itself is refused by the broker, with what to do', async () => {
  const { broker } = harness();
  broker.createTopic('t');
  broker.maxMessageBytes = 1_000;
  const { code, stderr } = await produce(['t'], `one\n${'x'.repeat(990)}\n`);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^millrace: .*1000 bytes that topic "t" accepts \(max\.message\.bytes\).*\n$/,
  );
});

test('the key delimiter may be escaped, and must not be empty', async () => {
  const { broker } = harness();
  broker.createTopic('t');
  expect(await produce(['t', '-k', ''], 'v\n')).toMatchObject({ code: 2 });
  expect(await produce(['t', '-k', String.raw`\x`], 'v\n')).toMatchObject({ code: 2 });
  expect(await produce(['t', '-k', String.raw`\t`], 'k\tv\n')).toMatchObject({ code: 0 });
  const args = ['--broker', broker.address, 'consume', 't', '-e', '-F', '%k=%v'];
  expect((await run(args)).stdout.toString()).toBe('k=v');
});

test('a file that cannot be read is said so in plain words', async () => {
  harness().broker.createTopic('t');
  const directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  const missing = await produce(['t', '--file', '/nope']);
  expect(missing).toMatchObject({
    code: 1,
    stderr: 'millrace: cannot read "/nope": there is no such file\n',
  });
  const isDirectory = await produce(['t', '--file', directory]);
  expect(isDirectory).toMatchObject({
    code: 1,
    stderr: `millrace: cannot read "${directory}": it is a directory\n`,
  });
  rmSync(directory, { recursive: true });
});
