import { afterEach, describe, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { cells } from '../support/cells.js';
import { Container } from './support/container.js';
import { numbered, produceAll, readAll } from './support/messages.js';

afterEach(() => Container.removeAll());

test('carries what runs, and nothing of what builds', async () => {
  const loop = '/millrace/bench/build/reference';
  const script = `id -u; ls /millrace/node_modules ${loop}; which millrace millrace-broker g++ make; true`;
  const { stdout } = await Container.once([], ['sh', '-c', script]);
  const [user, ...names] = stdout.trim().split('\n');
  expect(user).toBe('1000');
  expect(names).toContain('/millrace/node_modules/.bin/millrace');
  expect(names).toContain('/millrace/docker/millrace-broker');
  expect(names).toContain(loop);
  for (const name of ['typescript', 'jest', 'eslint', 'prettier', '@swc']) {
    expect(names).not.toContain(name);
  }
  for (const name of ['/usr/bin/g++', '/usr/bin/make']) expect(names).not.toContain(name);
});

test.each(['millrace', 'millrace-broker', 'millrace-bench'])('%s runs', async (name) => {
  const { status, stdout, stderr } = await Container.once([], [name, '--help']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(new RegExp(`^Usage: ${name} `));
});

describe.each(cells)('hardened, persist $persist, serve $serve', ({ persist, serve }) => {
  test('serves what it was given, logs JSON alone, and exits with 0', async () => {
    const flags = ['--shm-size', '64k', '-e', `MILLRACE_PERSIST=${persist}`];
    const broker = await Container.ready(flags, ['millrace-broker', '--serve', serve]);
    const client = new Millrace({ brokers: [await broker.address(7070)] });
    await client.admin.createTopic({ name: 'orders', partitions: 1 });
    const values = numbered(20_000);
    await produceAll(client, 'orders', values);
    expect(await readAll(client, 'orders')).toEqual(values);
    await client.close();

    expect(await broker.stop()).toMatchObject({ exitCode: 0, outOfMemory: false });
    const { stdout, stderr } = await broker.logs();
    expect(stderr).toBe('');
    const lines = stdout.trim().split('\n');
    const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(logged).toContainEqual(expect.objectContaining({ msg: 'ready', persist, serve }));
    // A warning would say that something was done without.
    expect(logged.filter(({ level }) => level !== 'info')).toEqual([]);
    expect(logged.at(-1)).toMatchObject({ msg: 'stopped' });
  });
});
