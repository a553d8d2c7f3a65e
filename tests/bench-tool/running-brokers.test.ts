import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import type { ResultFile } from '../../bench/src/results/schema.js';
import { BrokerProcess } from '../support/broker-process.js';
import { BenchCommand } from './support/bench-command.js';

/** Several loads one after the other, on a machine that may be busy. It only ends what hangs. */
const TIMEOUT_MS = 180_000;

let bench: BenchCommand;
const brokers = new Map<string, BrokerProcess>();
beforeAll(async () => {
  bench = await BenchCommand.make();
  for (const mode of ['kafka', 'rocketmq']) {
    const data = join(bench.directory, mode);
    brokers.set(mode, await BrokerProcess.start(data, ['--mode', mode]));
  }
}, TIMEOUT_MS);
afterAll(async () => {
  for (const broker of brokers.values()) await broker.stop();
  await bench.remove();
});

async function expectNoTopics(): Promise<void> {
  for (const { address } of brokers.values()) {
    await using client = new Millrace({ brokers: [address] });
    expect(await client.admin.listTopics()).toEqual([]);
  }
}

test(
  'modes --brokers: the same load on brokers that run, what it cost each, and no topics after it',
  async () => {
    const list = [...brokers].map(([name, { address, ready }]) => {
      return `${name}=${address}/${ready.http.split(':').at(-1) ?? ''}`;
    });
    const result = await bench.measured(
      ...['modes', '--brokers', list.join(','), '--rounds', '1', '--bytes', '1MiB'],
      ...['--warmup', '0', '--rate', '500', '--rate-duration', '200ms'],
    );
    expect(result.cells.map(({ name }) => name)).toEqual(['kafka', 'rocketmq']);
    const [kafka, rocketmq] = result.cells.map(({ rounds }) => rounds[0] ?? []);
    // They are not ours to restart: nothing is read cold.
    expect(kafka?.map(({ phase }) => phase)).toEqual(['produce', 'consume', 'e2e']);
    expect(kafka?.[1]?.cost?.syscalls).toHaveProperty('sendfile');
    expect(rocketmq?.[1]?.cost?.syscalls).not.toHaveProperty('sendfile');
    await expectNoTopics();
  },
  TIMEOUT_MS,
);

test(
  '--find-max-rate ends between a rate that was held and one that was not',
  async () => {
    const address = brokers.get('kafka')?.address ?? '';
    const { code, stderr, stdout } = await bench.run(
      ...['produce', '--broker', address, '--find-max-rate', '--max-p99', '10s', '--acks', '1'],
      ...['--duration', '100ms', '--warmup', '0', '--results', bench.results, '--json'],
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const { cells, kind, maxRate } = JSON.parse(stdout) as ResultFile;
    expect(kind).toBe('max-rate');
    expect(stderr.match(/ msg\/s: p99 .*held$/gm)).toHaveLength(maxRate?.probes ?? 0);
    expect(stderr).toMatch(/, not held$/m);
    expect(maxRate?.ratePerSecond).toBeGreaterThan(0);
    expect(stderr).toContain('the highest rate that was held: ');
    expect(cells[0]?.rounds[0]?.[0]?.latencies.publish?.count).toBeGreaterThan(0);
    await expectNoTopics();
  },
  TIMEOUT_MS,
);
