/*
 * What a consumer that reads old data costs a producer and a consumer of new ones: how long their messages take
 * alone, beside one that reads from the page cache, and beside one that reads from the disk, in turns on one
 * broker. The one from the page cache says how much of it is but a share of the cores.
 *
 *     npm run bench:cold-consumer [-- --rounds N --gib 4 --rate 10000 --size 1024]
 *
 * Needs the free space, and twice that in the page cache, which is filled before anything is read from the disk
 * (a minute for 24 GiB): what is measured is to be the disk, not a virtual machine's host that gives memory. Timings
 * of a shared machine are noisy: read the spread before you believe a median.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { append, createTopic, LARGE_BATCH_BYTES } from './durability/append.js';
import {
  forgetPages,
  PageCacheFill,
  printTable,
  runScript,
  Server,
  spread,
  withTempDir,
} from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    gib: { type: 'string', default: '4' },
    rate: { type: 'string', default: '10000' },
    size: { type: 'string', default: '1024' },
    acks: { type: 'string', default: '1' },
  },
});
const script = (path) => fileURLToPath(new URL(path, import.meta.url));
const GiB = 2 ** 30;
const OLD = 'old';
const bytes = Number(values.gib) * GiB;
/** The load's own, before it measures. */
const WARM_UP_MS = 2_500;

const read = (server) => runScript([script('./latency/read.js'), server.port, OLD]);

/** How long new messages take while `beside` goes on, again and again to the end. */
async function measure(server, seconds, beside) {
  const { acks, rate, size } = values;
  const args = ['topic', server.port, rate, String(seconds), size, acks, 'timer'];
  let ended = false;
  const load = runScript([script('./latency/load.js'), ...args]).finally(() => (ended = true));
  await delay(WARM_UP_MS);
  const readBefore = server.diskReadBytes();
  const reading = await beside();
  const fromDisk = (server.diskReadBytes() - readBefore) / GiB;
  while (reading !== undefined && !ended) await beside();
  return { ...(await load), fromDisk, readSeconds: reading?.seconds ?? 0 };
}

await withTempDir(async (directory) => {
  const data = join(directory, 'data');
  const memory = new PageCacheFill(join(directory, 'nothing'));
  const server = await Server.broker(data);
  for (const name of [OLD, 'latency']) await createTopic(server, name, 1);
  await append(server, OLD, bytes, { producers: 4, batchBytes: LARGE_BATCH_BYTES });
  forgetPages(data);
  memory.fill();
  const { seconds } = await read(server);
  console.log(
    `${values.rate} messages/s of ${values.size} bytes, acks=${values.acks}, while ${values.gib} GiB are read ` +
      `(${seconds.toFixed(1)} s alone, from the disk); ${values.rounds} rounds, interleaved`,
  );
  const length = Math.ceil(seconds);
  const ways = {
    alone: () => measure(server, length, () => undefined),
    'beside one from the page cache': () => measure(server, length, () => read(server)),
    'beside one from the disk': () => {
      forgetPages(data);
      memory.fill();
      return measure(server, length, () => read(server));
    },
  };
  const results = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const turns = Object.entries(ways);
    for (const [name, way] of round % 2 === 0 ? turns : turns.reverse()) {
      results[name].push(await way());
    }
  }
  const row = (name) => [
    name,
    ...['p50', 'p99', 'p999', 'readSeconds', 'fromDisk'].map((what) =>
      spread(results[name].map((result) => result[what])),
    ),
    spread(results[name].map(({ p99 }, i) => p99 / results.alone[i].p99)),
  ];
  printTable([
    ['', 'p50 ms', 'p99 ms', 'p99.9 ms', 'read in s', 'GiB from disk', 'p99 to alone'],
    ...Object.keys(ways).map(row),
  ]);
  await server.stop();
});
