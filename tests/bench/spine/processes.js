/* Starting and watching the processes that the benchmark measures. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BROKER_NODE_OPTIONS } from '../../../bench/dist/broker/node-options.js';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const TICKS_PER_SECOND = 100;
/** Longer than the time after which everything is synced. */
const REST_MS = 1_500;
const RESTING_CPU_SECONDS = 0.02;

/** Takes the files below a directory out of the page cache; what is dirty is written first. */
export function forgetPages(directory) {
  const script =
    'sync -f "$1"; find "$1" -type f -exec dd if={} iflag=nocache count=0 status=none \\;';
  execFileSync('sh', ['-c', script, 'sh', directory]);
}

/**
 * Fills the memory that is free with pages of a file of nothing, as the page cache of a machine that has run for a
 * while is full: then new pages come from those that go. Free memory the host of a virtual machine takes back within
 * seconds, and to have it again costs whoever touches it first more than to read it from the disk.
 */
export class PageCacheFill {
  #bytes = 0;

  /** @param path of a file that is made, in a directory that goes; it takes no room on the disk. */
  constructor(path) {
    this.path = path;
  }

  fill() {
    const free = Number(/MemFree:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) * 1024;
    const fd = openSync(this.path, 'a+');
    const piece = Buffer.allocUnsafe(2 ** 20);
    ftruncateSync(fd, this.#bytes + free);
    for (const end = this.#bytes + free; this.#bytes < end; this.#bytes += piece.length) {
      readSync(fd, piece, 0, piece.length, this.#bytes);
    }
    closeSync(fd);
  }
}

export async function withTempDir(work) {
  const path = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  try {
    return await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** Starts a node script; resolves when a line of its output satisfies `isReady`. */
function start(args, isReady) {
  return startCommand([process.execPath, ...args], isReady);
}

async function startCommand([program, ...args], isReady) {
  const startedAt = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const line = await new Promise((resolve, reject) => {
    child.once('exit', (code) => {
      reject(new Error(`${[program, ...args].join(' ')} ended with ${code}:\n${output}`));
    });
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const found = output.split('\n').slice(0, -1).find(isReady);
      if (found !== undefined) resolve(found);
    });
  });
  return { child, line, readyMs: performance.now() - startedAt };
}

/** Runs a node script to its end; resolves to what it prints, one line of JSON. */
export async function runScript(args) {
  const { line, child } = await start(args, (text) => text.startsWith('{'));
  if (child.exitCode === null) await once(child, 'exit');
  return JSON.parse(line);
}

/** A server under test. `port` is where it listens. */
export class Server {
  constructor({ child, readyMs }, kind, port) {
    this.child = child;
    this.readyMs = readyMs;
    this.kind = kind;
    this.port = port;
  }

  /** As `npm start` and the image run it, or with `bare` without options for node. */
  static async broker(dataDir, args = [], { host = '127.0.0.1', prefix = [], bare = false } = {}) {
    const script = here('../../../broker/bin/millrace-broker.js');
    const node = [process.execPath, ...(bare ? [] : BROKER_NODE_OPTIONS)];
    const options = ['--data-dir', dataDir, '--listen', `${host}:0`, '--http', 'off', ...args];
    const isReady = (line) => line.includes('"msg":"ready"');
    const started = await startCommand([...prefix, ...node, script, ...options], isReady);
    const port = JSON.parse(started.line).listen.split(':')[1];
    return new Server(started, 'broker', port);
  }

  static async echo() {
    const started = await start([here('../latency/echo.js')], (line) => /^\d+$/.test(line));
    return new Server(started, 'echo', started.line);
  }

  static async bareLoop(directory, persist, serve) {
    const args = [here('./prototype.js'), directory, persist, serve];
    const started = await start(args, (line) => /^\d+$/.test(line));
    return new Server(started, 'prototype', started.line);
  }

  /** CPU time of all its threads so far. */
  cpuSeconds() {
    const stat = readFileSync(`/proc/${this.child.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** Resolves when it has come to rest: syncs and checkpoints of what it took before are done. */
  async rest() {
    for (;;) {
      const before = this.cpuSeconds();
      await sleep(REST_MS);
      if (this.cpuSeconds() - before <= RESTING_CPU_SECONDS) return;
    }
  }

  rssMiB() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
  }

  /** What it had read from the disk so far. */
  diskReadBytes() {
    return Number(/read_bytes: (\d+)/.exec(readFileSync(`/proc/${this.child.pid}/io`, 'utf8'))[1]);
  }

  descriptors() {
    return readdirSync(`/proc/${this.child.pid}/fd`).length;
  }

  mappings() {
    return readFileSync(`/proc/${this.child.pid}/maps`, 'utf8').split('\n').length - 1;
  }

  /** Moves bytes by a load generator of its own process; throughput, and what it cost this server. */
  async load(direction, bytes) {
    const before = this.cpuSeconds();
    const args = [here('./load.js'), direction, this.kind, this.port, String(bytes)];
    const result = await runScript(args);
    const gib = result.bytes / 2 ** 30;
    return { gibPerSecond: gib / result.seconds, cpuPerGib: (this.cpuSeconds() - before) / gib };
  }

  async stop() {
    const exited = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await exited;
  }
}

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
};

/** `median (min–max)` */
export const spread = (values, digits = 2) =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;

export function printTable(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, i) => String(cell).padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    );
  }
  console.log();
}
