/*
 * How long a broker takes from its start to "ready", with much data: after kill -9 under load, and after a
 * clean stop, in turns. The data are made once, and removed at the end.
 *
 *     npm run bench:recovery [-- --gib 10 --partitions 100 --rounds 5 --cold]
 *
 * `--cold` takes the log files out of the page cache before each start, as after a power cut; all that
 * is dirty is written first. Needs the free space, and the room in the page cache for it to be quick.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { append, createTopic, LARGE_BATCH_BYTES } from './durability/append.js';
import { forgetPages, printTable, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '10' },
    partitions: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '5' },
    cold: { type: 'boolean', default: false },
  },
});
const TOPIC = 'recovery';
const MiB = 2 ** 20;

/** With 16 producers; rejects when the broker goes away. */
function fill(server, bytes) {
  return append(server, TOPIC, bytes, { producers: 16, batchBytes: LARGE_BATCH_BYTES });
}

async function start(directory) {
  if (values.cold) forgetPages(directory);
  return Server.broker(directory);
}

/** Kills the broker while it is appended to. */
async function killUnderLoad(server) {
  const load = fill(server, 1024 * 1024 * MiB).catch(() => undefined);
  const before = server.cpuSeconds();
  while (server.cpuSeconds() < before + 0.7) await delay(20);
  const exited = once(server.child, 'exit');
  server.child.kill('SIGKILL');
  await exited;
  await load;
}

await withTempDir(async (directory) => {
  const first = await Server.broker(directory);
  await createTopic(first, TOPIC, Number(values.partitions));
  const made = await fill(first, Number(values.gib) * 1024 * MiB);
  console.log(
    `${values.gib} GiB in ${values.partitions} partitions, made in ${made.seconds.toFixed(0)} s; ` +
      `${values.rounds} rounds, ${values.cold ? 'log files cold' : 'page cache warm'}, medians (min–max)`,
  );
  await killUnderLoad(first);
  const unclean = [];
  const clean = [];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const crashed = await start(directory);
    unclean.push(crashed.readyMs / 1000);
    await fill(crashed, 32 * MiB);
    await crashed.stop();
    const stopped = await start(directory);
    clean.push(stopped.readyMs / 1000);
    await fill(stopped, 32 * MiB);
    await killUnderLoad(stopped);
  }
  printTable([
    ['from the start of the process to "ready"', 'seconds'],
    ['after kill -9 under load', spread(unclean)],
    ['after a clean stop', spread(clean)],
  ]);
});
