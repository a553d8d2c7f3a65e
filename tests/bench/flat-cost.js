/*
 * Whether a message costs more where there are many partitions, connections, or much in the log: the broker's
 * CPU time and the time in all, per message in and out, in turns on brokers that differ in one of them.
 *
 *     npm run bench:flat-cost [-- --rounds 7 --mib 128 --out-mib 1024 --log-gib 50 --persist adaptive]
 *
 * Producers send batches of 16 KiB to the partitions in turn, built once; consumers are those of the SDK. What the
 * broker does for what it took after it took it, syncs and checkpoints, counts for the way in. Needs the free space
 * for the large log (`--log-gib 0` leaves it out), and some 1.5 GiB for each of the others. Timings of a shared
 * machine are noisy: read the ratios, and the spread before you believe a median.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { append, createTopic, LARGE_BATCH_BYTES } from './durability/append.js';
import { printTable, runScript, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    mib: { type: 'string', default: '128' },
    'out-mib': { type: 'string', default: '1024' },
    'log-gib': { type: 'string', default: '50' },
    persist: { type: 'string', default: 'adaptive' },
  },
});
const READ = fileURLToPath(new URL('./flat/read.js', import.meta.url));
const TOPIC = 'flat';
const MiB = 2 ** 20;
const BATCH_BYTES = 16 * 1024;
/** What `load.js` puts into such a batch. */
const MESSAGES_PER_BATCH = 15;
const logGib = Number(values['log-gib']);

const cells = {
  '1 partition': { partitions: 1, connections: 1, gib: 0.5 },
  '100 partitions': { partitions: 100, connections: 1, gib: 0.5 },
  '1,000 partitions': { partitions: 1000, connections: 1, gib: 0.5 },
  '10 connections': { partitions: 100, connections: 10, gib: 0.5, to: '100 partitions' },
  '100 connections': { partitions: 100, connections: 100, gib: 0.5, to: '100 partitions' },
  ...(logGib > 0 && {
    [`a log of ${logGib} GiB`]: { partitions: 1, connections: 1, gib: logGib },
  }),
};

function consume(server, connections, messages) {
  const args = [server.port, TOPIC, String(connections), String(messages)];
  return runScript([READ, ...args]);
}

async function open(directory, name, { gib, partitions }) {
  const outBytes = Number(values['out-mib']) * MiB;
  const server = await Server.broker(join(directory, name.replaceAll(' ', '-')), [
    '--persist',
    values.persist,
  ]);
  await createTopic(server, TOPIC, partitions);
  await append(server, TOPIC, gib * 1024 * MiB, { batchBytes: LARGE_BATCH_BYTES });
  // What is read lies in batches as small as those that are sent.
  await append(server, TOPIC, outBytes, { batchBytes: BATCH_BYTES });
  await server.rest();
  return server;
}

/** Microseconds per message: of the broker's CPU time, and of the time in all. */
async function costOf(server, work) {
  const before = server.cpuSeconds();
  const { messages, seconds } = await work();
  return {
    cpu: ((server.cpuSeconds() - before) / messages) * 1e6,
    wall: (seconds / messages) * 1e6,
  };
}

async function measure(server, { connections }) {
  const bytes = Number(values.mib) * MiB;
  const into = await costOf(server, async () => {
    const load = { producers: connections, batchBytes: BATCH_BYTES };
    const { bytes: done, seconds } = await append(server, TOPIC, bytes, load);
    await server.rest();
    return { seconds, messages: (done / BATCH_BYTES) * MESSAGES_PER_BATCH };
  });
  const outBytes = Number(values['out-mib']) * MiB;
  const messages = (outBytes / BATCH_BYTES) * MESSAGES_PER_BATCH;
  const out = await costOf(server, () => consume(server, connections, messages));
  return { into, out };
}

console.log(
  `${values.mib} MiB in by ${values.persist} and ${values['out-mib']} MiB out, in batches of 16 KiB, ${values.rounds} rounds, interleaved; ` +
    'µs per message, medians (min–max), and the ratio to the first of its kind',
);
await withTempDir(async (directory) => {
  const servers = {};
  const results = {};
  for (const [name, cell] of Object.entries(cells)) {
    servers[name] = await open(directory, name, cell);
    results[name] = [];
    await measure(servers[name], cell);
  }
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const turns = Object.entries(cells);
    for (const [name, cell] of round % 2 === 0 ? turns : turns.reverse()) {
      results[name].push(await measure(servers[name], cell));
    }
  }
  for (const way of ['into', 'out']) {
    const figures = (name, kind) => results[name].map((result) => result[way][kind]);
    const ratios = (name, kind) => {
      const base = figures(cells[name].to ?? '1 partition', kind);
      return spread(figures(name, kind).map((each, i) => each / base[i]));
    };
    const row = (name) => [
      name,
      ...['cpu', 'wall'].flatMap((kind) => [spread(figures(name, kind)), ratios(name, kind)]),
    ];
    const head = [way === 'into' ? 'in' : 'out', "broker's CPU", 'ratio', 'time in all', 'ratio'];
    printTable([head, ...Object.keys(cells).map(row)]);
  }
  for (const server of Object.values(servers)) await server.stop();
});
