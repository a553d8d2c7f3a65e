import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { costBetween, parseMetrics, scrape } from '../../bench/src/broker/metrics.js';
import { StartedBroker } from '../../bench/src/broker/started-broker.js';
import type { BrokerCost } from '../../bench/src/results/schema.js';
import { Millrace } from '@millrace/client';
import { skipped } from '../faults/support/length.js';
import { makeTempDir } from '../support/temp-dir.js';

const MESSAGES = 400;
const VALUE = Buffer.alloc(10_000, 'v');
/** Our names of what strace calls by the name of the system call. */
const names = {
  pwritev: 'pwritev',
  pread: 'pread64',
  sendfile: 'sendfile',
  sendmsg: 'sendmsg',
  send: 'sendto',
};

const works = spawnSync('strace', ['-c', '-f', '-o', '/dev/null', 'true']).status === 0;

let directory: Awaited<ReturnType<typeof makeTempDir>>;
beforeEach(async () => {
  directory = await makeTempDir();
});
afterEach(() => directory.remove());

/** Calls by name in the table that `strace -c` writes. */
function straceCounts(path: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const match = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line);
    if (match?.[2] !== undefined) counts.set(match[2], Number(match[1]));
  }
  return counts;
}

async function moveMessages(address: string): Promise<void> {
  const client = new Millrace({ brokers: [address] });
  await client.admin.createTopic({ name: 't' });
  const producer = client.producer({ acks: 1 });
  for (let i = 0; i < MESSAGES; i += 1) {
    if (!producer.enqueue('t', { value: VALUE })) await producer.ready();
  }
  await producer.flush();
  let seen = 0;
  for await (const message of client.consumer({ topics: ['t'], exitAtEnd: true })) {
    seen += message.value?.length ?? 0;
  }
  expect(seen).toBe(MESSAGES * VALUE.length);
  await client.close();
}

describe('what the broker counts of its system calls', () => {
  test.each([
    ['write', 'copy'],
    ['mmap', 'sendfile'],
    ['mmap', 'mmap'],
  ])('agrees with strace -c of the same run: %s + %s', async (persist, serve) => {
    if (!works) {
      skipped('counters against strace', 'strace cannot trace here');
      return;
    }
    const table = join(directory.path, 'strace.txt');
    const broker = await StartedBroker.start({
      dataDir: join(directory.path, 'data'),
      args: ['--persist', persist, '--serve', serve],
      prefix: ['strace', '-f', '-c', '-o', table],
    });
    let cost: BrokerCost;
    try {
      await moveMessages(broker.address);
      cost = costBetween(parseMetrics(''), await scrape(broker.httpAddress));
    } finally {
      await broker.stop();
    }
    const traced = straceCounts(table);
    const counted = Object.entries(names).filter(([ours]) => (cost.syscalls[ours] ?? 0) > 0);
    expect(counted.length).toBeGreaterThan(1);
    for (const [ours, theirs] of counted) {
      // The probe of the data directory tries one sendfile, before anything is counted.
      const uncounted = ours === 'sendfile' ? 1 : 0;
      // Node itself and libc make a few of these when the process starts and stops.
      const difference = (traced.get(theirs) ?? 0) - (cost.syscalls[ours] ?? 0);
      expect({ call: ours, extra: Math.max(0, -difference) }).toEqual({ call: ours, extra: 0 });
      if (theirs !== 'pread64')
        expect({ call: ours, difference }).toEqual({ call: ours, difference: uncounted });
      else expect(difference).toBeLessThan(100);
    }
    expect(cost.syscallBytes[serve === 'sendfile' ? 'sendfile' : 'send']).toBeGreaterThan(
      MESSAGES * VALUE.length,
    );
  });
});
