/*
 * How much longer a message takes through a topic than through a bare TCP echo: one client process at a steady
 * rate, in turns on the echo and on a broker with acks=1 and acks=all.
 *
 *     npm run bench:latency [-- --rounds N --rate 10000 --size 1024 --seconds 10 --pacing spin|timer --collectors]
 *
 * With `--collectors` in turns with a broker whose collector has threads, too, as node starts it without options.
 *
 * Timings of a shared machine are noisy: a ratio is to the echo of the same round.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createTopic } from './durability/append.js';
import { printTable, runScript, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    rate: { type: 'string', default: '10000' },
    size: { type: 'string', default: '1024' },
    seconds: { type: 'string', default: '10' },
    pacing: { type: 'string', default: 'spin' },
    collectors: { type: 'boolean', default: false },
  },
});
const loader = fileURLToPath(new URL('./latency/load.js', import.meta.url));
const contenders = {
  echo: ['echo', 'echo', '-'],
  'acks=1': ['broker', 'topic', '1'],
  'acks=all': ['broker', 'topic', 'all'],
  ...(values.collectors && {
    'acks=1, collector threads': ['threaded', 'topic', '1'],
    'acks=all, collector threads': ['threaded', 'topic', 'all'],
  }),
};

async function measure([server, via, acks], servers) {
  const { port } = servers[server];
  const { rate, seconds, size } = values;
  return runScript([loader, via, port, rate, seconds, size, acks, values.pacing]);
}

console.log(
  `${values.rate} messages/s of ${values.size} bytes for ${values.seconds} s, ${values.rounds} rounds, interleaved`,
);
await withTempDir(async (directory) => {
  const servers = { echo: await Server.echo(), broker: await Server.broker(join(directory, 'a')) };
  if (values.collectors) {
    servers.threaded = await Server.broker(join(directory, 'b'), [], { bare: true });
    await createTopic(servers.threaded, 'latency', 1);
  }
  await createTopic(servers.broker, 'latency', 1);
  const results = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const turns = Object.entries(contenders);
    for (const [name, how] of round % 2 === 0 ? turns : turns.reverse()) {
      results[name].push(await measure(how, servers));
    }
  }
  const row = (name) => [
    name,
    ...['p50', 'p99', 'p999'].map((p) => spread(results[name].map((result) => result[p]))),
    spread(results[name].map(({ p99 }, i) => p99 / results.echo[i].p99)),
  ];
  printTable([
    ['', 'p50 ms', 'p99 ms', 'p99.9 ms', 'p99 to the echo'],
    ...Object.keys(contenders).map(row),
  ]);
  for (const server of Object.values(servers)) await server.stop();
});
