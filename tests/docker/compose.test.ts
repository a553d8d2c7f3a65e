import { chown, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { skipped } from '../faults/support/length.js';
import { docker, fromRunner, must, run } from './support/command.js';
import { readAll } from './support/messages.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The commands of both generations; which of them are here is asked once. */
const commands = [
  { name: 'docker-compose', program: 'docker-compose', first: [] },
  { name: 'docker compose', program: 'docker', first: ['compose'] },
];

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.each(commands)('$name', ({ name, program, first }) => {
  const project = fromRunner('PROJECT');
  let environment: Record<string, string> = {};
  let results: string | undefined;

  const compose = (...args: readonly string[]): Promise<string> =>
    must(program, [...first, '-p', project, '--project-directory', root, ...files(), ...args], {
      environment,
    });
  const files = (): string[] => ['-f', join(root, 'docker-compose.yml')];

  async function available(): Promise<boolean> {
    const version = await run(program, [...first, 'version']).catch(() => undefined);
    if (version?.status === 0) return true;
    skipped(`the compose file under ${name}`, 'that command is not installed');
    return false;
  }

  async function prepare(): Promise<number> {
    const port = await freePort();
    results = await mkdtemp(join(tmpdir(), 'millrace-test-'));
    environment = {
      MILLRACE_IMAGE: fromRunner('IMAGE'),
      MILLRACE_PORT: String(port),
      MILLRACE_HTTP_PORT: String(await freePort()),
      MILLRACE_RESULTS: results,
    };
    return port;
  }

  const leftOver = async (): Promise<string> => {
    const filter = ['--filter', `label=com.docker.compose.project=${project}`];
    const kinds = [
      ['container', 'ls', '-a'],
      ['volume', 'ls'],
      ['network', 'ls'],
    ];
    return (await Promise.all(kinds.map((kind) => docker(...kind, '-q', ...filter)))).join('');
  };

  afterEach(async () => {
    if (results === undefined) return;
    await compose('--profile', 'modes', 'down', '-v');
    await rm(results, { recursive: true, force: true });
    results = undefined;
  });

  test('up: a broker that host and containers reach; it comes again with its data; down', async () => {
    if (!(await available())) return;
    const port = await prepare();
    await compose('up', '-d', '--no-build');
    expect(await compose('ps', '--services')).toContain('broker');

    await compose('exec', '-T', 'broker', 'millrace', 'topic', 'create', 'orders');
    const connect = (): Millrace => new Millrace({ brokers: [`127.0.0.1:${port}`] });
    const client = connect();
    await client.producer().send('orders', { value: 'from the host' });
    await client.close();
    const broker = ['--broker', 'broker:7070'];
    const consume = ['consume', 'orders', '--from', 'beginning', '--exit-at-end'];
    const command = ['run', '--rm', '-T', 'broker', 'millrace', ...broker, ...consume];
    expect(await compose(...command)).toBe('from the host');

    await compose('down');
    await compose('up', '-d', '--no-build');
    const again = connect();
    expect(await readAll(again, 'orders')).toEqual(['from the host']);
    await again.close();
    await compose('down', '-v');
    expect(await leftOver()).toBe('');
  });

  test('the load test runs on two modes side by side and leaves the report to whoever owns ./results', async () => {
    if (!(await available())) return;
    await prepare();
    const directory = results ?? '';
    // Of somebody else than the user of the image, where we may give it away.
    if (process.getuid?.() === 0) await chown(directory, 1234, 1234);
    const brokers = 'kafka=broker-kafka:7070/7071,rocketmq=broker-rocketmq:7070/7071';
    expect(await compose('--profile', 'modes', 'config')).toContain(brokers);
    const short = ['--bytes', '8MiB', '--rounds', '1', '--rate', '0'];
    const command = ['millrace-bench', 'modes', '--brokers', brokers, ...short];
    const printed = await compose('run', '--rm', '-T', 'loadtest', ...command);
    expect(printed).toContain('kafka');
    expect(printed).toContain('rocketmq');
    const files = await readdir(directory);
    expect(files).toContain('report.html');
    expect(files.filter((name) => name.endsWith('.json'))).toHaveLength(1);
    const { uid, gid } = await stat(directory);
    for (const name of files) expect(await stat(join(directory, name))).toMatchObject({ uid, gid });
  });
});
