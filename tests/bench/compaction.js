/*
 * What a compaction costs: its time, the memory of the broker, and the latency of produce requests to
 * another topic before and during it. Build first, then:
 *
 *     node tests/bench/compaction.js [--mib 1024] [--keys 1000000] [--rate 10000] [--acks all|1] [--rounds 1]
 *
 * A real broker, on the disk of the system's temporary directory (TMPDIR). It is started twice: to be
 * filled, and to compact a while after its start. The load comes from this process: its own pauses
 * are in the latencies of both windows.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Millrace } from '@millrace/client';
import { BROKER_NODE_OPTIONS } from '../../bench/dist/broker/node-options.js';

const MIB = 2 ** 20;
const SEGMENT_BYTES = 64 * MIB;
const VALUE_BYTES = 256;
const LOAD_VALUE_BYTES = 100;
/** Load runs for so long before its latencies count, and then until the compaction starts. */
const WARM_UP_MS = 8_000;
const COMPACTION_AFTER_MS = 25_000;
const LOAD_TICK_MS = 5;
const RSS_TICK_MS = 50;
const NEVER_MS = 86_400_000;
const command = new URL('../../broker/bin/millrace-broker.js', import.meta.url).pathname;

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    keys: { type: 'string', default: '1000000' },
    rate: { type: 'string', default: '10000' },
    acks: { type: 'string', default: 'all' },
    rounds: { type: 'string', default: '1' },
  },
});

/** Starts a broker; `line(message)` resolves to the first log line of that message. */
async function startBroker(dataDir, cleanerIntervalMs) {
  const places = ['--data-dir', dataDir, '--listen', '127.0.0.1:0', '--http', 'off'];
  const child = spawn(process.execPath, [...BROKER_NODE_OPTIONS, command, ...places], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, MILLRACE_CLEANER_INTERVAL_MS: String(cleanerIntervalMs) },
  });
  const lines = [];
  const waiting = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    if (!text.startsWith('{')) return;
    const line = { ...JSON.parse(text), atMs: performance.now() };
    lines.push(line);
    for (const wake of waiting.splice(0)) wake();
  });
  const line = async (message) => {
    for (;;) {
      const found = lines.find(({ msg }) => msg === message);
      if (found !== undefined) return found;
      await new Promise((resolve) => waiting.push(resolve));
    }
  };
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const { listen } = await line('ready');
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  return { pid: child.pid, address: listen, line, stop };
}

async function fill(address) {
  const client = new Millrace({ brokers: [address] });
  const config = {
    'cleanup.policy': 'compact',
    'segment.bytes': String(SEGMENT_BYTES),
    'min.cleanable.dirty.ratio': '0.01',
  };
  await client.admin.createTopic({ name: 'table', partitions: 1, config });
  await client.admin.createTopic({ name: 'load', partitions: 1 });
  const producer = client.producer({ acks: 1 });
  const value = Buffer.alloc(VALUE_BYTES, 'v');
  const keys = Number(options.keys);
  // What is not sealed is not compacted: one segment more.
  const bytes = Number(options.mib) * MIB + SEGMENT_BYTES;
  const count = Math.ceil(bytes / (VALUE_BYTES + 24));
  for (let i = 0; i < count; i += 1) {
    // Every key comes as often, at distances that differ.
    const key = `key-${((i * 7_919) % keys) + 1_000_000_000}`;
    if (!producer.enqueue('table', { key, value, partition: 0 })) await producer.ready();
  }
  await producer.flush();
  await client.close();
}

/** Sends at an even rate until `stop`; each latency with the time at which it was sent. */
function startLoad(client) {
  const acks = options.acks === 'all' ? 'all' : Number(options.acks);
  const producer = client.producer({ acks });
  const value = Buffer.alloc(LOAD_VALUE_BYTES, 'l');
  const samples = [];
  const perMs = Number(options.rate) / 1000;
  const beganMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor((performance.now() - beganMs) * perMs);
    for (; sent < due; sent += 1) {
      // Late sends count from when they were due: a stall must not hide what waited behind it.
      const atMs = beganMs + sent / perMs;
      producer.send('load', { value }).then(() => {
        samples.push({ atMs, ms: performance.now() - atMs });
      });
    }
  }, LOAD_TICK_MS);
  return { samples, stop: () => clearInterval(timer), close: () => producer.close() };
}

function percentile(samples, fromMs, toMs, share) {
  const within = samples.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  const sorted = within.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Memory of a process in MiB: all, and what is not a file's. */
function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return { rss: kib('VmRSS') / 1024, anonymous: kib('RssAnon') / 1024 };
}

async function measure(dataDir) {
  const broker = await startBroker(dataDir, COMPACTION_AFTER_MS);
  const startedMs = performance.now();
  const client = new Millrace({ brokers: [broker.address] });
  const load = startLoad(client);
  const memory = [];
  const timer = setInterval(() => {
    memory.push({ atMs: performance.now(), ...memoryOf(broker.pid) });
  }, RSS_TICK_MS);
  const done = await broker.line('compacted a log');
  clearInterval(timer);
  load.stop();
  await delay(500);
  const beganMs = done.atMs - done.ms;
  const before = memory.filter(({ atMs }) => atMs < beganMs).at(-1);
  const during = memory.filter(({ atMs }) => atMs >= beganMs);
  const growth = (name) => Math.max(...during.map((each) => each[name])) - before[name];
  const latency = (share) => ({
    before: percentile(load.samples, startedMs + WARM_UP_MS, beganMs, share),
    during: percentile(load.samples, beganMs, done.atMs, share),
  });
  await load.close();
  await client.close();
  await broker.stop();
  return { done, latency, growth };
}

function report({ done, latency, growth }) {
  const mib = (bytes) => `${(bytes / MIB).toFixed(0)} MiB`;
  console.log(
    `compacted ${mib(done.bytesBefore)} to ${mib(done.bytesAfter)}, ${done.recordsRead} records to ` +
      `${done.recordsKept} (${done.keys} keys), in ${(done.ms / 1000).toFixed(1)} s`,
  );
  console.log(
    `memory of the broker grew by ${growth('rss').toFixed(0)} MiB at most, ` +
      `of it ${growth('anonymous').toFixed(0)} MiB not of files`,
  );
  for (const share of [0.5, 0.99, 0.999]) {
    const { before, during } = latency(share);
    console.log(
      `produce at ${options.rate}/s, acks=${options.acks}, p${share * 100}: ` +
        `${before.toFixed(2)} ms before, ${during.toFixed(2)} ms during: ` +
        `${(during / before).toFixed(2)} ×`,
    );
  }
}

async function round() {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    const filled = await startBroker(directory, NEVER_MS);
    await fill(filled.address);
    await filled.stop();
    report(await measure(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

for (let i = 0; i < Number(options.rounds); i += 1) await round();
