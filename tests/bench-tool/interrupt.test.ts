import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { BenchCommand } from './support/bench-command.js';

/** Many processes, on a machine that may be busy. It only ends what hangs. */
const TIMEOUT_MS = 180_000;
const LOOK_EVERY_MS = 20;

let bench: BenchCommand;
beforeEach(async () => {
  bench = await BenchCommand.make();
});
afterEach(async () => {
  for (const pid of bench.processes()) process.kill(Number(pid), 'SIGKILL');
  await bench.remove();
});

/** What is enough for any of these to be ended in the middle of it. */
const modes = (...args: readonly string[]): readonly string[] => [
  ...['modes', '--modes', 'mmap+sendfile', '--rounds', '1', '--warmup', '0', '--no-cold'],
  ...['--rate', '0', '--results', bench.results, ...args],
];

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
    child.kill('SIGINT');
    expect(await outcome).toMatchObject({ code: 130 });
    expect(bench.leftovers()).toEqual([]);
    // Killed is not yet gone.
    while (bench.processes().length > 0) await sleep(LOOK_EVERY_MS);
  },
  TIMEOUT_MS,
);
