import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { until } from '../support/harness.js';
import { RealBroker } from '../support/real-broker.js';
import { asText } from './administration.js';
import { run, start } from './command.js';

const broker = new RealBroker();
let client: Millrace;

beforeAll(async () => {
  await broker.start();
  client = new Millrace({ brokers: [broker.address] });
});

afterAll(async () => {
  await client.close();
  await broker.remove();
});

async function topicWith(name: string, values: readonly string[]): Promise<void> {
  await client.admin.createTopic({ name });
  const producer = client.producer();
  for (const value of values) await producer.send(name, { value });
}

async function millrace(...args: readonly string[]) {
  return asText(await run(['--broker', broker.address, ...args]));
}

test('consume --group goes on behind what was printed', async () => {
  await topicWith('a', ['1', '2', '3', '4', '5']);
  const args = ['consume', 'a', '--group', 'g', '--max-messages'];
  expect(await millrace(...args, '2')).toEqual({ code: 0, stdout: '1\n2\n', stderr: '' });
  expect(await millrace(...args, '3')).toEqual({ code: 0, stdout: '3\n4\n5\n', stderr: '' });
  const described = (await millrace('group', 'describe', 'g')).stdout;
  expect(described).toMatch(/^Group g: Empty, .*0 members, total lag 0\n/);
  expect(await millrace('group', 'reset', 'g', '--to', '-1')).toMatchObject({ code: 0 });
  expect((await millrace(...args, '1')).stdout).toBe('5\n');
});

test('Ctrl-C commits what was printed, and leaves the group', async () => {
  await topicWith('b', ['1', '2']);
  const args = ['--broker', broker.address, 'consume', 'b', '--group', 'interrupted'];
  const { child, ended } = start(args);
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const producer = client.producer();
  await until(() => printed === '1\n2\n');
  // It comes behind what was printed: that was handled by then.
  await producer.send('b', { value: '3' });
  await until(() => printed === '1\n2\n3\n');
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 130, stderr: '' });
  const { state, members } = await client.admin.describeGroup('interrupted');
  expect({ state, members }).toEqual({ state: 'Empty', members: [] });
  const [offset] = await client.admin.groupOffsets('interrupted');
  expect(offset?.committedOffset).toBeGreaterThanOrEqual(2);
});

test('what does not go with a group is a wrong command line', async () => {
  for (const extra of [['--partition', '0'], ['--exit-at-end'], ['--group']]) {
    const { code, stderr } = await millrace('consume', 'a', '--group', 'g', ...extra);
    expect({ extra, code }).toEqual({ extra, code: 2 });
    expect(stderr).toMatch(/^millrace: .*\n$/);
  }
});
