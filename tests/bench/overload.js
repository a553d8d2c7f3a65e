/*
 * What misbehaving clients cost a healthy one: its throughput with and without them, in turns on one broker.
 *
 *     npm run bench:overload [-- --rounds N --idle 5000 --tricklers 200 --mib 64]
 *
 * The healthy client sends with acks=1 from a process of its own. The others are idle connections,
 * connections that send a byte a second, and consumers that ask for much and take nothing. Timings of a
 * shared machine are noisy: read the ratio, and the spread before you believe a median.
 */
import { connect } from 'node:net';
import { clearInterval, setInterval } from 'node:timers';
import { parseArgs } from 'node:util';
import { Millrace } from '@millrace/client';
import { apiVersionsApi, encodeRequestFrame, fetchApi } from '@millrace/protocol';
import { append } from './durability/append.js';
import { printTable, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    idle: { type: 'string', default: '5000' },
    tricklers: { type: 'string', default: '200' },
    stalled: { type: 'string', default: '4' },
    mib: { type: 'string', default: '64' },
  },
});
/** The healthy ones have to find room, too. */
const connections = Number(values.idle) + Number(values.tricklers) + Number(values.stalled) + 100;
process.env.MILLRACE_MAX_CONNECTIONS = String(connections);
const MiB = 2 ** 20;
const hello = encodeRequestFrame(apiVersionsApi, 1, {
  ...{ clientSoftware: 'bench', clientVersion: '1' },
});

function open(port, first) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.on('error', () => undefined);
      socket.write(first);
      resolve(socket);
    });
  });
}

async function openMany(port, count, first) {
  const sockets = [];
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(100, count - sockets.length) }, () =>
      open(port, first),
    );
    sockets.push(...(await Promise.all(some)));
  }
  return sockets;
}

/** Opens all who misbehave; resolves to the way to end them. */
async function misbehave(port, topicId) {
  const idle = await openMany(port, Number(values.idle), hello);
  const tricklers = await openMany(port, Number(values.tricklers), hello);
  const entries = [{ topicId, partition: 0, offset: 0, maxBytes: 64 * MiB }];
  const fetch = { maxWaitMs: 0, minBytes: 1, maxBytes: 64 * MiB, entries };
  const stalled = await openMany(
    port,
    Number(values.stalled),
    encodeRequestFrame(fetchApi, 1, fetch),
  );
  for (const socket of [...idle, ...tricklers]) socket.resume();
  for (const socket of stalled) socket.pause();
  let at = 0;
  const timer = setInterval(() => {
    for (const socket of tricklers) socket.write(hello.subarray(at, at + 1));
    at = (at + 1) % hello.length;
  }, 1_000);
  return () => {
    clearInterval(timer);
    for (const socket of [...idle, ...tricklers, ...stalled]) socket.destroy();
  };
}

const bytes = Number(values.mib) * MiB;
const load = async (server) => {
  const result = await append(server, 'healthy', bytes);
  return result.bytes / MiB / result.seconds;
};

console.log(
  `a healthy producer beside ${values.idle} idle connections, ${values.tricklers} that send a byte a ` +
    `second and ${values.stalled} stalled consumers; ${values.rounds} rounds, interleaved`,
);
await withTempDir(async (directory) => {
  const server = await Server.broker(directory);
  const client = new Millrace({ brokers: [`127.0.0.1:${server.port}`] });
  const { topicId } = await client.admin.createTopic({ name: 'healthy', partitions: 1 });
  await client.close();
  await load(server);
  const alone = [];
  const beside = [];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const measureAlone = async () => alone.push(await load(server));
    const measureBeside = async () => {
      const end = await misbehave(server.port, topicId);
      beside.push(await load(server));
      end();
    };
    const turns = [measureAlone, measureBeside];
    for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
  }
  printTable([
    ['', 'MiB/s, median (min–max)'],
    ['alone', spread(alone, 0)],
    ['beside them', spread(beside, 0)],
    ['ratio', spread(beside.map((each, i) => each / alone[i]))],
    ['memory of the broker', `${server.rssMiB().toFixed(0)} MiB`],
  ]);
  await server.stop();
});
