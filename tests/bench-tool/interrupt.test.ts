import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { watchInterrupts } from '../../bench/src/cli/interrupt.js';
import type { ResultFile } from '../../bench/src/results/schema.js';
import { findProgram } from '../../bench/src/servers/find-program.js';
import { skipped } from '../faults/support/length.js';
import { BenchCommand } from './support/bench-command.js';
import type { Running } from './support/bench-command.js';

/** Many processes, on a machine that may be busy. It only ends what hangs. */
const TIMEOUT_MS = 180_000;
const LOOK_EVERY_MS = 20;

let bench: BenchCommand;
beforeEach(async () => {
  bench = await BenchCommand.make();
});
afterEach(async () => {
  for (const { pid } of bench.processes()) process.kill(pid, 'SIGKILL');
  await bench.remove();
});

/** What is enough for any of these to be ended in the middle of it. */
const modes = (...args: readonly string[]): readonly string[] => [
  ...['modes', '--modes', 'mmap+sendfile', '--rounds', '1', '--warmup', '0', '--no-cold'],
  ...['--rate', '0', '--results', bench.results, ...args],
];

/** Resolves when a process of the run is called so; rejects when the run ends before. */
async function runs({ child, outcome }: Running, pattern: RegExp): Promise<void> {
  while (!bench.processes().some(({ line }) => pattern.test(line))) {
    if (child.exitCode !== null) throw new Error(`it ended: ${(await outcome).stderr}`);
    await sleep(LOOK_EVERY_MS);
  }
}

test(
  'modes --reference: Ctrl-C keeps what was measured, writes the report, and nothing stays',
  async () => {
    const missing = ['cc', 'gcc', 'clang'].every((name) => findProgram(name) === undefined);
    if (missing || process.platform !== 'linux') {
      skipped('modes --reference, ended by Ctrl-C', 'it needs Linux and a C compiler');
      return;
    }
    const running = bench.start(modes('--bytes', '256MiB', '--reference', '--json'));
    await runs(running, /reference drive/);
    running.child.kill('SIGINT');
    const { code, stderr, stdout } = await running.outcome;
    expect({ code, stderr }).toMatchObject({ code: 130 });
    const result = JSON.parse(stdout) as ResultFile;
    expect(result.interrupted).toBe(true);
    const phases = result.cells[0]?.rounds[0]?.map(({ phase }) => phase);
    expect(phases?.slice(0, 2)).toEqual(['produce', 'consume']);
    expect(readdirSync(bench.results)).toContain('report.html');
    expect(bench.leftovers()).toEqual([]);
    expect(bench.processes()).toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  'two signals at once, as of timeout to a process and its group, keep what was measured',
  async () => {
    const args = ['--bytes', '2GiB', '--warmup', '0', '--results', bench.results];
    const running = bench.start(['produce', '--start', ...args, '--json']);
    await running.says(/in [1-9]/);
    // Two of a kind that are pending are one; of two kinds both come.
    running.child.kill('SIGINT');
    running.child.kill('SIGTERM');
    const { code, stdout } = await running.outcome;
    expect([130, 143]).toContain(code);
    expect(JSON.parse(stdout)).toMatchObject({ interrupted: true });
    expect(readdirSync(bench.results)).toContain('report.html');
    expect(bench.leftovers()).toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  'Ctrl-C while it warms up ends it then: there is nothing to measure',
  async () => {
    const time = ['--warmup', '10m', '--duration', '10m'];
    const args = ['produce', '--start', ...time, '--results', bench.results, '--json'];
    const running = bench.start(args);
    await runs(running, /worker\.js/);
    running.child.kill('SIGINT');
    const { code, stderr, stdout } = await running.outcome;
    expect({ code, stderr }).toMatchObject({ code: 130 });
    expect(JSON.parse(stdout)).toMatchObject({ interrupted: true, cells: [{ rounds: [[]] }] });
    expect(bench.leftovers()).toEqual([]);
    expect(bench.processes()).toEqual([]);
  },
  TIMEOUT_MS,
);

test('of signals of a run the second that comes later ends the process', () => {
  const exit = jest.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  const now = jest.spyOn(performance, 'now').mockReturnValue(1_000);
  const interruption = watchInterrupts();
  try {
    process.emit('SIGINT', 'SIGINT');
    expect([interruption.signal.aborted, interruption.exitCode]).toEqual([true, 130]);
    now.mockReturnValue(1_099);
    process.emit('SIGTERM', 'SIGTERM');
    expect(exit).not.toHaveBeenCalled();
    now.mockReturnValue(1_100);
    process.emit('SIGTERM', 'SIGTERM');
    expect(exit).toHaveBeenCalledWith(130);
  } finally {
    interruption.dispose();
    for (const spy of [exit, write, now]) spy.mockRestore();
  }
});

test(
  'a second Ctrl-C ends it at once, and no process and no directory stays',
  async () => {
    // Small segments: a broker that is not gone first makes files in a directory that is being removed.
    const { child, outcome, says } = bench.start(
      modes('--bytes', '1GiB', '--segment-bytes', '1MiB'),
    );
    await says(/produce .*in [1-9]/);
    child.kill('SIGINT');
    await says(/once more: at once/);
    // One that comes too soon is taken for the first.
    while (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGINT');
      await sleep(LOOK_EVERY_MS);
    }
    // By the signal itself when it comes behind the end of the run.
    const { code } = await outcome;
    expect([130, null]).toContain(code);
    expect(bench.leftovers()).toEqual([]);
    // Killed is not yet gone.
    while (bench.processes().length > 0) await sleep(LOOK_EVERY_MS);
  },
  TIMEOUT_MS,
);
