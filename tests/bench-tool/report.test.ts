import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { costBetween, parseMetrics } from '../../bench/src/broker/metrics.js';
import { LatencyRecorder, mergeLatencies } from '../../bench/src/load/latency.js';
import { renderReport } from '../../bench/src/report/render.js';
import { toCsv } from '../../bench/src/results/csv.js';
import { classicTables } from '../../bench/src/results/classic-table.js';
import { readResult, writeResult } from '../../bench/src/results/files.js';
import { phaseTables } from '../../bench/src/results/figure-table.js';
import type { BrokerCost, Cell, Measurement, ResultFile } from '../../bench/src/results/schema.js';
import {
  classicRows,
  copiesPerByte,
  matrix,
  switchesPerTransfer,
} from '../../bench/src/zerocopy/ways.js';
import { makeTempDir } from '../support/temp-dir.js';

const GIB = 2 ** 30;

function measured(cpuUserSeconds: number, syscalls: Record<string, number> = {}): Measurement {
  const latency = new LatencyRecorder();
  latency.recordMs(3);
  const cost: BrokerCost = {
    ...{ bytes: 2 * GIB, cpuUserSeconds, cpuSystemSeconds: 1, syscalls, syscallBytes: {} },
    ...{ userCopiedBytes: 0, crossedBytes: GIB, modeSwitches: 200, voluntarySwitches: 1 },
    ...{ involuntarySwitches: 1, minorFaults: 10, majorFaults: 0, rssBytes: 1_000 },
  };
  return {
    phase: 'consume',
    consumed: { messages: 1_000, bytes: 2 * GIB, seconds: 2, errors: 0 },
    latencies: { endToEnd: mergeLatencies([latency.encode()]) },
    series: [],
    generator: { busiest: 0.5, cpuSeconds: 1, limit: 'the </script> generator' },
    cost,
  };
}

const cellOf = (name: string, ...cpu: number[]): Cell => ({
  ...{ name, about: '' },
  rounds: cpu.map((seconds) => [measured(seconds, { sendfile: 100 })]),
});

const result: ResultFile = {
  schema: 'millrace-bench/1',
  kind: 'modes',
  name: 'a name',
  interrupted: false,
  ...{ startedAt: '2026-01-02T03:04:05.678Z', finishedAt: '2026-01-02T03:05:05.678Z' },
  command: ['millrace-bench', 'modes'],
  environment: {
    ...{
      host: 'h',
      kernel: 'k',
      cpu: 'c',
      cores: 2,
      memoryBytes: 1,
      node: 'v20',
      container: false,
    },
  },
  load: {} as ResultFile['load'],
  limit: { bytes: 1 },
  cells: [cellOf('slow', 3, 3.2, 3.1), cellOf('quick, "very"', 1, 1.2, 1.1)],
  notes: ['a <note>'],
};

let directory: Awaited<ReturnType<typeof makeTempDir>>;
beforeEach(async () => {
  directory = await makeTempDir();
});
afterEach(() => directory.remove());

describe('result files', () => {
  test('are read as they were written, beside a page', () => {
    const files = writeResult(directory.path, result);
    expect(files.result).toBe(join(directory.path, '20260102T030405Z-a-name.json'));
    expect(readResult(files.result)).toEqual(JSON.parse(JSON.stringify(result)));
  });

  test('of another schema, or none, are refused by name', () => {
    const path = join(directory.path, 'other.json');
    writeFileSync(path, '{"schema":"millrace-bench/0"}');
    expect(() => readResult(path)).toThrow('has the schema "millrace-bench/0"');
    writeFileSync(path, '[]');
    expect(() => readResult(path)).toThrow('is no result of millrace-bench');
    expect(() => readResult(join(directory.path, 'none.json'))).toThrow('cannot be read');
  });

  test('are lines of one length as CSV', () => {
    const lines = toCsv(result).trim().split('\n');
    expect(lines).toHaveLength(7);
    const columns = lines[0]?.split(',').length;
    expect(lines[1]?.split(',')).toHaveLength(columns ?? 0);
    expect(lines[4]).toMatch(/^"quick, ""very""",1,consume,/);
  });
});

describe('the page', () => {
  test('is whole: it loads nothing, and data cannot end its scripts', () => {
    const html = renderReport([{ label: 'run', result }]);
    expect(html).not.toMatch(/<(?:script|link|img)[^>]+(?:src|href)=/);
    expect(html).not.toMatch(/@import|url\(/);
    expect(html.match(/<script/g)).toHaveLength(html.match(/<\/script>/g)?.length ?? -1);
    const data = /<script type="application\/json" id="data">(.*)<\/script>/.exec(html)?.[1] ?? '';
    const { phases, runs } = JSON.parse(data) as {
      phases: { cpu: { user: { median: number } }[] }[];
      runs: { notes: string[] }[];
    };
    expect(runs[0]?.notes).toContain('a <note>');
    // 3.1 s of 2 GiB.
    expect(phases[0]?.cpu[0]?.user.median).toBeCloseTo(1.55);
  });

  test('tells cells of several runs apart', () => {
    const html = renderReport([
      { label: 'before', result },
      { label: 'after', result },
    ]);
    expect(html).toContain('before: slow');
    expect(html).toContain('after: slow');
  });
});

test('tables have medians with their spread, and a winner only beyond the noise', () => {
  const [throughput, costs] = phaseTables(result.cells, 'consume');
  expect(throughput?.rows[0]?.slice(0, 3)).toEqual(['slow', '500', '1.00 GiB/s']);
  expect(costs?.rows[0]?.[1]).toBe('2.05 (2.00–2.10)');
  expect(costs?.verdict).toContain('CPU s/GiB: quick');
  const noisy = [cellOf('a', 1, 2, 3), cellOf('b', 2, 3, 4)];
  expect(phaseTables(noisy, 'consume')[1]?.verdict).toBe('CPU s/GiB: no clear winner');
});

test('the cost of a load is the difference of two scrapes', () => {
  const scrape = (calls: number): string =>
    [
      '# HELP x y',
      `millrace_fetch_bytes_total ${calls * 1_000}`,
      `millrace_native_calls_total{call="sendfile"} ${calls}`,
      `millrace_native_bytes_total{call="sendfile"} ${calls * 1_000}`,
      `millrace_native_bytes_total{call="pwritev"} ${calls}`,
      `millrace_reads_total ${2 * calls}`,
      `millrace_received_bytes_total ${calls * 10}`,
      `millrace_event_loop_iterations_total ${3 * calls}`,
      `millrace_page_faults_total{kind="minor"} ${calls}`,
    ].join('\n');
  const cost = costBetween(parseMetrics(scrape(10)), parseMetrics(scrape(110)));
  expect(cost.syscalls).toEqual({ sendfile: 100, read: 200, epoll_wait: 300 });
  expect([cost.bytes, cost.modeSwitches, cost.minorFaults]).toEqual([100_000, 1_200, 100]);
  // sendfile's bytes cross nothing.
  expect(cost.crossedBytes).toBe(100 + 1_000);
});

describe('the classic table', () => {
  test('has its four rows in the matrix over veth', () => {
    const rows = classicRows(matrix(true, [65_536, 2 ** 20]), []).filter(
      ({ chunkBytes }) => chunkBytes === 65_536,
    );
    const theory = (way: string, scatterGather: boolean): unknown =>
      rows.find((row) => row.way === way && row.scatterGather === scatterGather)?.theory;
    expect(theory('read+write', true)).toEqual({ switches: 4, copies: 4, cpuCopies: 2 });
    expect(theory('mmap+write', true)).toEqual({ switches: 4, copies: 3, cpuCopies: 1 });
    expect(theory('sendfile', false)).toEqual({ switches: 2, copies: 3, cpuCopies: 1 });
    expect(theory('sendfile', true)).toEqual({ switches: 2, copies: 2, cpuCopies: 0 });
  });

  test('shows the four rows in their order, and then the whole matrix', () => {
    const [classic, whole] = classicTables(classicRows(matrix(true, [65_536, 2 ** 20]), []));
    expect(classic?.rows.map(([name]) => name).slice(0, 5)).toEqual([
      ...['read+write', 'mmap+write', 'sendfile', 'sendfile with scatter-gather DMA', 'read+write'],
    ]);
    expect(classic?.rows.map((row) => row[4]).slice(0, 4)).toEqual(['4', '3', '3', '2']);
    expect(whole?.rows).toHaveLength(18);
    expect(whole?.rows[2]?.[0]).toBe('read+write, SG and TSO on');
    const [loopback, ...rest] = classicTables(classicRows(matrix(false, [65_536]), []));
    expect(loopback?.rows.map((row) => row[4])).toEqual(['4', '3', '3', '2']);
    expect(rest).toEqual([]);
  });

  test('leaves the last row open on loopback, and says why', () => {
    const open = classicRows(matrix(false, [65_536]), []).filter((row) => row.open !== undefined);
    expect(open.map(({ way }) => way)).toEqual(['sendfile with scatter-gather DMA']);
    expect(open[0]?.open).toContain('root');
  });

  test('measures switches by calls and copies by bytes', () => {
    const served = (calls: Record<string, number>, bytes: Record<string, number>): Measurement => {
      const base = measured(1, calls);
      return { ...base, cost: { ...(base.cost as BrokerCost), syscallBytes: bytes } };
    };
    const copy = served({ pread: 10, send: 10, sendmsg: 5 }, { pread: 1_100, send: 1_000 });
    expect([switchesPerTransfer(copy), copiesPerByte(copy)]).toEqual([4, 2.1]);
    const sendfile = served({ sendfile: 10 }, { sendfile: 1_000 });
    expect([switchesPerTransfer(sendfile), copiesPerByte(sendfile)]).toEqual([2, 0]);
  });
});
