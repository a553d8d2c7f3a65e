/*
 * What an append costs by each way to persist: the broker's CPU time and the time in all, per GiB, in turns on
 * brokers that go on all the while.
 *
 *     npm run bench:appends [-- --rounds 7 --mib 512 --batches 4,64 --fill-gib 1]
 *
 * Before it measures, each broker appends `--fill-gib`; and before each measurement, memory for it is had, as on a
 * machine that has run for a while. Else a page costs what it costs to have it for the first time; much, on a virtual
 * machine whose host takes free memory back, and it is chance who pays. A run leaves nothing behind, and needs
 * `rounds x mib x batches` and the fill of disk for each of the three. Timings of a shared machine are noisy: read the
 * ratios, and the spread before you believe a median.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { warmMemory } from '../../bench/dist/rounds/warm-memory.js';
import { append, createTopic, LARGE_BATCH_BYTES } from './durability/append.js';
import { printTable, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    mib: { type: 'string', default: '512' },
    batches: { type: 'string', default: '4,64' },
    'fill-gib': { type: 'string', default: '1' },
  },
});
const TOPIC = 'appends';
const MiB = 2 ** 20;
const GiB = 2 ** 30;
const ways = ['adaptive', 'mmap', 'write'];
const sizes = values.batches.split(',').map(Number);

async function open(directory, persist) {
  const server = await Server.broker(join(directory, persist), ['--persist', persist]);
  await createTopic(server, TOPIC, 1);
  const bytes = Number(values['fill-gib']) * GiB;
  await append(server, TOPIC, bytes, { batchBytes: LARGE_BATCH_BYTES });
  return server;
}

async function measure(server, directory, batchBytes) {
  await warmMemory(directory, Number(values.mib) * MiB);
  const before = server.cpuSeconds();
  const { bytes, seconds } = await append(server, TOPIC, Number(values.mib) * MiB, { batchBytes });
  const gib = bytes / GiB;
  return { cpu: (server.cpuSeconds() - before) / gib, seconds: seconds / gib };
}

console.log(
  `${values.mib} MiB a round, ${values.rounds} rounds, interleaved, behind ${values['fill-gib']} GiB each; ` +
    'seconds per GiB, medians (min–max)',
);
await withTempDir(async (directory) => {
  const servers = [];
  for (const persist of ways) servers.push(await open(directory, persist));
  const results = sizes.map(() => ways.map(() => []));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const size of sizes.keys()) {
      // Each comes first, and after each other one, as often.
      for (const turn of ways.keys()) {
        const way = (turn * (round % 2 === 0 ? 1 : 2) + round) % ways.length;
        results[size][way].push(await measure(servers[way], directory, sizes[size] * 1024));
      }
    }
  }
  for (const [i, size] of sizes.entries()) {
    const write = results[i].at(-1);
    printTable([
      [`batches of ${size} KiB`, "broker's CPU", 'to write', 'time in all', 'to write'],
      ...ways.map((way, k) => [
        way,
        ...['cpu', 'seconds'].flatMap((kind) => [
          spread(results[i][k].map((each) => each[kind])),
          spread(results[i][k].map((each, at) => each[kind] / write[at][kind])),
        ]),
      ]),
    ]);
  }
  for (const server of servers) await server.stop();
});
