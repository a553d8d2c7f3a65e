import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { messageOf } from '../../bench/src/errors.js';
import type { ResultFile } from '../../bench/src/results/schema.js';
import {
  makeVethPair,
  namespacesMissing,
  removeVethPair,
} from '../../bench/src/zerocopy/network.js';
import { skipped } from '../faults/support/length.js';
import { BenchCommand } from './support/bench-command.js';

/** Why there are no namespaces to be had; undefined: there are. */
let missing: string | undefined;
beforeAll(() => {
  missing = namespacesMissing();
  if (missing !== undefined) return;
  try {
    removeVethPair(makeVethPair());
  } catch (error) {
    missing = messageOf(error); // root in a container, without the right to
  }
});

let bench: BenchCommand;
beforeEach(async () => {
  bench = await BenchCommand.make();
});
afterEach(() => bench.remove());

/** A broker is started for every way: on a busy machine that adds up. It only ends what hangs. */
const TIMEOUT_MS = 180_000;

const small = ['zerocopy', '--bytes', '1MiB', '--chunks', '64KiB'] as const;

/** What a run must not leave: its namespaces, its directories, and processes that use those. */
function leftBehind(pid: number): readonly string[] {
  const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.startsWith(`millrace-bench-${pid}-`));
  return [...namespaces, ...bench.leftovers(), ...processesIn(bench.directory)];
}

function processesIn(directory: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(join('/proc', pid, 'cmdline'), 'utf8').replaceAll('\0', ' ');
        return line.includes(directory) ? [line] : [];
      } catch {
        return []; // it has just ended
      }
    });
}

const wayOf = (result: ResultFile, way: string, scatterGather?: boolean): unknown =>
  result.classic?.find((row) => row.way === way && row.scatterGather === scatterGather);

describe('over a pair of namespaces', () => {
  test(
    'every way with scatter-gather on and off, and as a card does; nothing stays',
    async () => {
      if (missing !== undefined) {
        skipped('zerocopy over a pair of namespaces', missing);
        return;
      }
      const args = [...small, '--rounds', '1', '--results', bench.results, '--json'];
      const { child, outcome } = bench.start(args);
      const { code, stderr, stdout } = await outcome;
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const result = JSON.parse(stdout) as ResultFile;
      expect(result.classic).toHaveLength(9);
      const measured = { rounds: 1, countedCopies: expect.any(Number) as unknown };
      for (const way of ['read+write', 'mmap+write', 'sendfile']) {
        for (const on of [true, false]) expect(wayOf(result, way, on)).toMatchObject({ measured });
        const card = result.classic?.find((row) => row.way === way && row.segmentationOffload);
        expect(card).toMatchObject({ scatterGather: true, measured });
      }
      expect(stderr).toContain('sendfile with scatter-gather DMA');
      expect(stderr).toContain('sendfile, SG off');
      expect(stderr).toContain('sendfile, SG and TSO on');
      expect(result.notes[0]).toContain('over veth between two network namespaces');
      expect(leftBehind(child.pid ?? 0)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    'Ctrl-C in the middle keeps what was measured, and nothing stays',
    async () => {
      if (missing !== undefined) {
        skipped('zerocopy, ended by Ctrl-C', missing);
        return;
      }
      const args = [...small, '--rounds', '1', '--results', bench.results, '--json'];
      const { child, outcome, says } = bench.start(args);
      await says(/round 1\/1 read\+write, SG off, 64 KiB: produce/);
      child.kill('SIGINT');
      const { code, stdout } = await outcome;
      expect(code).toBe(130);
      const result = JSON.parse(stdout) as ResultFile;
      expect(result.interrupted).toBe(true);
      expect(wayOf(result, 'read+write', true)).toHaveProperty('measured.rounds', 1);
      expect(wayOf(result, 'sendfile', true)).not.toHaveProperty('measured');
      expect(leftBehind(child.pid ?? 0)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

describe('on loopback', () => {
  test(
    'three ways, and the row with scatter-gather open, with the reason',
    async () => {
      const result = await bench.measured(...small, '--rounds', '1', '--loopback');
      expect(result.cells.map(({ name }) => name)).toEqual([
        ...['read+write, 64 KiB', 'mmap+write, 64 KiB', 'sendfile, 64 KiB'],
      ]);
      expect(wayOf(result, 'read+write')).toMatchObject({
        measured: { rounds: 1, countedCopies: expect.any(Number) as unknown },
      });
      expect(wayOf(result, 'sendfile with scatter-gather DMA')).toMatchObject({
        open: expect.stringContaining('run as root') as unknown,
      });
      expect(result.notes[0]).toContain('on loopback (asked for by --loopback)');
      expect(bench.leftovers()).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test('refuses fetches that are smaller than its batches', async () => {
    const { code, stderr } = await bench.run('zerocopy', '--chunks', '4KiB');
    expect({ code, stderr }).toEqual({
      ...{ code: 2, stderr: expect.stringContaining('at least 64 KiB') as unknown },
    });
  });
});
