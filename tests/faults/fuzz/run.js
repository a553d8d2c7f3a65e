/*
 * `node tests/faults/fuzz/run.js --seed S --inputs N`: feeds N inputs to everything that parses bytes
 * from the network, in threads, under a watchdog. Prints findings and a summary as JSON, one a line.
 *
 * A finding is repeated by `--seed S --only I`: an input is made of the seed and its number alone.
 */
import { parseArgs } from 'node:util';
import { clearInterval, setInterval } from 'node:timers';
import { Worker } from 'node:worker_threads';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    inputs: { type: 'string', default: '200000' },
    from: { type: 'string', default: '0' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string' },
    planted: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
});

const LOOK_EVERY_MS = 20;
/** What an input may take; a thread looks itself, and again when the machine may have been busy. */
const HANG_MS = 100;
/** After that long a thread does not come back by itself, however busy the machine is. */
const LOST_MS = 15_000;
/** The whole process, threads and corpus included; one input may unpack to 1 MiB. */
const MAX_RSS_BYTES = 512 * 1024 * 1024;
const MAX_HEAP_MIB = 256;
const MAX_FINDINGS = 50;

const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const from = Number(values.only ?? values.from);
const inputs = values.only === undefined ? Number(values.inputs) : 1;
const threads = values.only === undefined && !values.trace ? Number(values.threads) : 1;
const { planted, trace } = values;
const shared = new SharedArrayBuffer(8 * threads);
const progress = new Float64Array(shared);
/** In the place of an input's number: none is being worked on. */
const IDLE = -1;

const startedMs = performance.now();
const totals = { done: 0, refusals: 0, findings: 0, peakRssBytes: 0 };

const say = (line) => void process.stdout.write(`${JSON.stringify(line)}\n`);

function report(finding) {
  totals.findings += 1;
  say({ type: 'finding', seed, ...finding });
  if (totals.findings >= MAX_FINDINGS) end();
}

function startWorker(data) {
  return new Worker(new URL('worker.js', import.meta.url), {
    workerData: { seed, shared, hangMs: HANG_MS, planted, trace, ...data },
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
  });
}

/** One thread's share of the inputs: every `threads`-th. Begun anew behind an input that it died of. */
class Share {
  ended;
  #worker;
  #slot;
  #seenIndex = NaN;
  #seenSinceMs = 0;
  #ending = false;

  constructor(slot) {
    this.#slot = slot;
    this.ended = new Promise((resolve) => this.#run(from + slot, resolve));
  }

  #run(first, resolve) {
    progress[this.#slot] = IDLE;
    this.#ending = false;
    const data = { from: first, to: from + inputs, step: threads, slot: this.#slot };
    let finished = false;
    let kind = 'hang';
    let detail = `it had not ended after ${LOST_MS} ms`;
    this.#worker = startWorker(data);
    this.#worker.on('message', (message) => {
      if (message.type === 'finding') report(message);
      if (message.type !== 'done') return;
      finished = true;
      totals.done += message.done;
      totals.refusals += message.refusals;
    });
    this.#worker.on('error', (error) => {
      kind = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'memory' : 'died';
      detail = String(error);
    });
    this.#worker.on('exit', () => {
      if (finished) return resolve();
      const index = progress[this.#slot];
      report({ kind, index, detail });
      this.#run(index + threads, resolve);
    });
  }

  look(nowMs) {
    const index = progress[this.#slot];
    if (index !== this.#seenIndex) {
      this.#seenIndex = index;
      this.#seenSinceMs = nowMs;
      return;
    }
    if (index === IDLE || nowMs - this.#seenSinceMs < LOST_MS || this.#ending) return;
    this.#ending = true;
    void this.#worker.terminate();
  }
}

progress.fill(IDLE);
const shares = Array.from({ length: threads }, (_, slot) => new Share(slot));
const watchdog = setInterval(() => {
  const nowMs = performance.now();
  for (const share of shares) share.look(nowMs);
  const rss = process.memoryUsage.rss();
  totals.peakRssBytes = Math.max(totals.peakRssBytes, rss);
  if (rss <= MAX_RSS_BYTES) return;
  report({ kind: 'memory', index: [...progress], detail: `the process took ${rss} bytes` });
  end();
}, LOOK_EVERY_MS);

function end() {
  clearInterval(watchdog);
  const seconds = (performance.now() - startedMs) / 1000;
  say({ type: 'summary', seed, ...totals, seconds, perSecond: Math.round(totals.done / seconds) });
  process.exit(totals.findings === 0 ? 0 : 1);
}

await Promise.all(shares.map(({ ended }) => ended));
end();
