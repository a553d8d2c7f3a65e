import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import type { ResultFile } from '../../bench/src/results/schema.js';
import { findProgram } from '../../bench/src/servers/find-program.js';
import { skipped } from '../faults/support/length.js';
import { BrokerProcess } from '../support/broker-process.js';
import { BenchCommand } from './support/bench-command.js';
import type { Outcome } from './support/bench-command.js';

/** Many processes, on a machine that may be busy. It only ends what hangs. */
const TIMEOUT_MS = 180_000;

let bench: BenchCommand;
let broker: BrokerProcess;

beforeAll(async () => {
  bench = await BenchCommand.make();
  broker = await BrokerProcess.start(join(bench.directory, 'data'));
});
afterAll(async () => {
  await broker.stop();
  await bench.remove();
});

const measured = (...args: readonly string[]): Promise<ResultFile> =>
  bench.measured(...args, '--warmup', '0');

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
    const files = readdirSync(bench.results);
    expect(files).toContain('report.html');
    // The topic of its own is gone.
    await using client = new Millrace({ brokers: [broker.address] });
    expect(await client.admin.listTopics()).toEqual([]);
  });

  test('Ctrl-C keeps what was measured, and ends with 130', async () => {
    const args = ['produce', '--broker', broker.address, '--warmup', '0', '--duration', '10m'];
    const running = bench.start([...args, '--results', bench.results, '--json']);
    await running.says(/in [1-9]/);
    running.child.kill('SIGINT');
    const { code, stdout } = await running.outcome;
    expect(code).toBe(130);
    const result = JSON.parse(stdout) as ResultFile;
    expect(result.interrupted).toBe(true);
    expect(result.cells[0]?.rounds[0]?.[0]?.produced?.messages).toBeGreaterThan(0);
  });
});

test('says which version it is', async () => {
  const manifest = readFileSync(new URL('../../bench/package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { readonly version: string };
  expect(await bench.start(['--version']).outcome).toEqual({
    ...{ code: 0, stdout: `${version}\n`, stderr: '' },
  });
});

test('readers of its output that have gone take nothing from a run', async () => {
  const results = join(bench.directory, 'unread');
  const args = ['produce', '--broker', broker.address, '--warmup', '0', '--messages', '1000'];
  const { child, outcome } = bench.start([...args, '--results', results]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  expect(await outcome).toMatchObject({ code: 0 });
  expect(readdirSync(results)).toContain('report.html');
});

test('cold: what is read comes from the disk, all of it, and nothing is left behind', async () => {
  const result = await measured('consume', '--cold', '--fill', '4MiB', '--size', '1KiB');
  const [measurement] = result.cells[0]?.rounds[0] ?? [];
  expect(measurement?.cold?.residentBytes).toBe(0);
  expect(measurement?.cold?.totalBytes).toBeGreaterThan(4 * 2 ** 20);
  expect(measurement?.consumed?.bytes).toBeGreaterThanOrEqual(4 * 2 ** 20);
  expect(bench.leftovers()).toEqual([]);
});

test(
  'what cannot be ends with 2 and one line that says why, and leaves nothing',
  async () => {
    const other = join(bench.directory, 'other.json');
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
      [`modes --brokers ${broker.address},127.0.0.1:1`, 'no millrace broker at 127.0.0.1:1'],
      [`modes --brokers ${broker.address}/1`, 'no metrics at'],
      [`produce --results ${other}/results`, 'results cannot be written'],
      [`produce --start --data-dir ${other}/data`, 'no directory can be made'],
      ['zerocopy --loopback --bytes 0', 'a load of nothing'],
      ['consume --start --fill 900000GiB', 'free, and this load needs'],
      ['modes --brokers nonsense', 'HOST:PORT'],
      ['modes --brokers 127.0.0.1:1 --reference', 'leave out --brokers'],
      ['compare --drivers kafka', '--kafka HOST:PORT'],
      [`report ${other}`, 'has the schema'],
      ['produce --acks 2', 'all, 1, 0'],
      ['frobnicate', 'unknown command'],
    ];
    const outcomes = await Promise.all(cases.map(([args]) => bench.run(...args.split(' '))));
    for (const [index, { code, stderr }] of outcomes.entries()) {
      const [args, says] = cases[index] ?? ['', ''];
      expect({ args, code, stderr }).toEqual({
        args,
        code: 2,
        stderr: expect.stringContaining(says) as unknown,
      });
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
    expect(bench.leftovers()).toEqual([]);
  },
  TIMEOUT_MS,
);

test('where nothing can be written, one line names --data-dir or --results', async () => {
  const file = join(bench.directory, 'no-directory');
  writeFileSync(file, '');
  const run = (...args: readonly string[]): Promise<Outcome> =>
    bench.start(args, { TMPDIR: join(file, 'tmp') }).outcome;
  const outcomes = await Promise.all([
    run('modes'),
    run('produce', '--start'),
    run('modes', '--results', join(file, 'results')),
  ]);
  const says = /^millrace-bench: .*; give another --(data-dir|results)\n$/;
  for (const { code, stderr } of outcomes) {
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(says) as unknown });
  }
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
  expect(bench.leftovers()).toEqual([]);
  const html = readFileSync(join(bench.results, 'report.html'), 'utf8');
  expect(html).toContain('mmap+sendfile');
});

test(
  'modes --reference: plain C loops beside the brokers, in both directions',
  async () => {
    if (!['cc', 'gcc', 'clang'].some((name) => findProgram(name) !== undefined)) {
      skipped('modes --reference', 'there is no C compiler');
      return;
    }
    const result = await measured(
      ...['modes', '--modes', 'write+copy', '--rounds', '1', '--bytes', '2MiB', '--rate', '0'],
      ...['--no-cold', '--reference', '--batch', '64KiB', '--fetch', '128KiB'],
    );
    const loops = result.cells.filter(({ reference }) => reference === true);
    expect(loops.map(({ name }) => name)).toEqual([
      ...['C in: write', 'C in: mmap', 'C in: direct'],
      ...['C out: sendfile', 'C out: mmap', 'C out: copy'],
    ]);
    const [broker] = result.cells;
    expect(broker?.rounds[0]?.map(({ phase }) => phase)).toEqual([
      ...['produce', 'consume', 'reference-in', 'reference-out'],
    ]);
    // The same for all: batches of the one size, by the same sender; what fits a fetch, to one receiver.
    const moved = (phase: string): (number | undefined)[] =>
      result.cells.flatMap(({ rounds }) =>
        (rounds[0] ?? [])
          .filter((measurement) => measurement.phase === phase)
          .map(({ consumed, produced }) => (produced ?? consumed)?.messages),
      );
    const [into, out] = [moved('reference-in'), moved('reference-out')];
    expect([into.length, new Set(into).size]).toEqual([4, 1]);
    expect([out.length, new Set(out).size]).toEqual([4, 1]);
    const page = readFileSync(join(bench.results, 'report.html'), 'utf8');
    expect(page).toContain('beside the best plain C loop');
    expect(bench.leftovers()).toEqual([]);
  },
  TIMEOUT_MS,
);
