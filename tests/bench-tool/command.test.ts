import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import type { ResultFile } from '../../bench/src/results/schema.js';
import { BrokerProcess } from '../support/broker-process.js';
import { makeTempDir } from '../support/temp-dir.js';

const command = fileURLToPath(new URL('../../bench/bin/millrace-bench.js', import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let directory: Awaited<ReturnType<typeof makeTempDir>>;
let broker: BrokerProcess;

beforeAll(async () => {
  directory = await makeTempDir();
  broker = await BrokerProcess.start(join(directory.path, 'data'));
});
afterAll(async () => {
  await broker.stop();
  await directory.remove();
});

const results = (): string => join(directory.path, 'results');

/** The built command, in a temporary directory of its own. */
function bench(...args: readonly string[]): Promise<Outcome> {
  const env = { ...process.env, TMPDIR: directory.path };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [command, ...args], { env }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}

/** What runs leave in the temporary directory: nothing. */
const leftovers = (): readonly string[] =>
  readdirSync(directory.path).filter((name) => name.startsWith('millrace-bench-'));

async function measured(...args: readonly string[]): Promise<ResultFile> {
  const load = ['--warmup', '0', '--results', results(), '--json'];
  const outcome = await bench(...args, ...load);
  expect({ code: outcome.code, stderr: outcome.stderr }).toMatchObject({ code: 0 });
  return JSON.parse(outcome.stdout) as ResultFile;
}

describe('a load on a running broker', () => {
  test('e2e: every message is sent, acknowledged and received, at its rate', async () => {
    const result = await measured(
      ...['e2e', '--broker', broker.address, '--http', broker.ready.http],
      ...['--rate', '2000', '--messages', '1000', '--producers', '2', '--consumers', '2'],
    );
    const [measurement] = result.cells[0]?.rounds[0] ?? [];
    expect(measurement).toMatchObject({
      produced: { messages: 1_000, bytes: 100_000, errors: 0 },
      consumed: { messages: 1_000, bytes: 100_000 },
      missing: 0,
      latencies: { publish: { count: 1_000 }, endToEnd: { count: 1_000 } },
    });
    expect(measurement?.cost?.bytes).toBeGreaterThan(200_000);
    expect(measurement?.cost?.syscalls['sendfile']).toBeGreaterThan(0);
    expect(result).toMatchObject({ schema: 'millrace-bench/1', interrupted: false });
    const files = readdirSync(results());
    expect(files).toContain('report.html');
    // The topic of its own is gone.
    await using client = new Millrace({ brokers: [broker.address] });
    expect(await client.admin.listTopics()).toEqual([]);
  });

  test('Ctrl-C keeps what was measured, and ends with 130', async () => {
    const args = ['produce', '--broker', broker.address, '--warmup', '0', '--duration', '10m'];
    const child = spawn(process.execPath, [command, ...args, '--results', results(), '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    await new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        if (/in [1-9]/.test(chunk.toString())) resolve();
      });
    });
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(130);
    const result = JSON.parse(stdout) as ResultFile;
    expect(result.interrupted).toBe(true);
    expect(result.cells[0]?.rounds[0]?.[0]?.produced?.messages).toBeGreaterThan(0);
  });
});

test('cold: what is read comes from the disk, all of it, and nothing is left behind', async () => {
  const result = await measured('consume', '--cold', '--fill', '4MiB', '--size', '1KiB');
  const [measurement] = result.cells[0]?.rounds[0] ?? [];
  expect(measurement?.cold?.residentBytes).toBe(0);
  expect(measurement?.cold?.totalBytes).toBeGreaterThan(4 * 2 ** 20);
  expect(measurement?.consumed?.bytes).toBeGreaterThanOrEqual(4 * 2 ** 20);
  expect(leftovers()).toEqual([]);
});

test('what cannot be ends with 2 and one line that says why, and leaves nothing', async () => {
  const other = join(directory.path, 'other.json');
  writeFileSync(other, '{"schema":"millrace-bench/0"}');
  const cases: readonly (readonly [args: string, says: string])[] = [
    ['produce --rate 10 --api enqueue', '--api enqueue with --rate 0'],
    ['produce --broker 127.0.0.1:1', 'no millrace broker at 127.0.0.1:1'],
    ['produce --start --mode warp', 'warp'],
    ['produce --mode kafka', 'add --start'],
    ['consume --cold --broker 127.0.0.1:1', 'leave out --broker'],
    ['produce --start --bytes 900000GiB', 'free, and this load needs'],
    ['produce --duration 1s --messages 5', 'give one of'],
    ['produce --size 10..5', 'a range such as 200..500'],
    ['e2e --size 4', 'at least 8 bytes'],
    ['produce --payload nothing.bin', 'there is no file'],
    ['modes --modes kafka,warp', 'not "warp"'],
    ['modes --brokers nonsense', 'HOST:PORT'],
    ['compare --drivers kafka', '--kafka HOST:PORT'],
    [`report ${other}`, 'has the schema'],
    ['produce --acks 2', 'all, 1, 0'],
    ['frobnicate', 'unknown command'],
  ];
  const outcomes = await Promise.all(cases.map(([args]) => bench(...args.split(' '))));
  for (const [index, { code, stderr }] of outcomes.entries()) {
    const [args, says] = cases[index] ?? ['', ''];
    expect({ args, code, stderr }).toEqual({
      args,
      code: 2,
      stderr: expect.stringContaining(says) as unknown,
    });
    expect(stderr.trim().split('\n')).toHaveLength(1);
  }
  expect(leftovers()).toEqual([]);
});

test('modes: every cell in every round, with what it cost, and a report that is whole', async () => {
  const result = await measured(
    ...['modes', '--modes', 'write+copy,mmap+sendfile', '--rounds', '1', '--bytes', '1MiB'],
    ...['--rate', '500', '--rate-duration', '200ms', '--no-cold'],
  );
  expect(result.cells.map(({ name }) => name)).toEqual(['write+copy', 'mmap+sendfile']);
  const [copy, sendfile] = result.cells.map(({ rounds }) => rounds[0] ?? []);
  expect(copy?.map(({ phase }) => phase)).toEqual(['produce', 'consume', 'e2e']);
  expect(copy?.[1]?.cost?.syscalls).toHaveProperty('pread');
  expect(copy?.[1]?.cost?.syscalls).not.toHaveProperty('sendfile');
  expect(sendfile?.[1]?.cost?.syscalls).toHaveProperty('sendfile');
  expect(sendfile?.[0]?.cost?.userCopiedBytes).toBeGreaterThan(2 ** 20);
  expect(leftovers()).toEqual([]);
  const html = readFileSync(join(results(), 'report.html'), 'utf8');
  expect(html).toContain('mmap+sendfile');
});
