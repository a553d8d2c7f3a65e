/*
 * What it costs to serve over a veth pair that is as a network card is (scatter-gather, segmentation offload, the MTU
 * of Ethernet): CPU seconds per GiB of the broker, and of the plain C loop in its place, to one receiver in C that reads
 * as fast as it can.
 *
 *     npm run bench:veth [-- --rounds 5 --mib 1024 --chunk-kib 1024 --no-offload]
 *
 * As root, with iproute2 and ethtool: it makes two network namespaces and removes them. `--no-offload` is with the
 * largest MTU instead. Timings of a shared machine are noisy: a ratio is to `copy` of the same round.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  fetchFrames,
  fullBatch,
  makeTopic,
  produceFrames,
} from '../../bench/dist/reference/frames.js';
import { LoopProcess } from '../../bench/dist/reference/loop-process.js';
import { referenceProgram } from '../../bench/dist/reference/program.js';
import { makeVethPair, removeVethPair, setDevice } from '../../bench/dist/zerocopy/network.js';
import { printTable, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    mib: { type: 'string', default: '1024' },
    'chunk-kib': { type: 'string', default: '1024' },
    'no-offload': { type: 'boolean', default: false },
    inside: { type: 'string' },
  },
});
const SERVES = ['sendfile', 'mmap', 'copy'];
const MiB = 2 ** 20;
const STORED_BYTES = 256 * MiB;
const BATCH_BYTES = 60 * 1024;
const DEPTH = '2';
const MIN_CHUNK_KIB = 64;
const chunkBytes = Number(values['chunk-kib']) * 1024;
if (!(chunkBytes >= MIN_CHUNK_KIB * 1024)) {
  throw new Error(
    `--chunk-kib must be at least ${MIN_CHUNK_KIB}: a batch has ${BATCH_BYTES} bytes`,
  );
}
const readBytes = Number(values.mib) * MiB;

if (values.inside === undefined) await runInside();
else await measureAll(values.inside.split('/'));

/** Everything but the servers runs in the namespace of the client. */
async function runInside() {
  const pair = makeVethPair();
  process.on('exit', () => removeVethPair(pair));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  setDevice(pair.server, { scatterGather: true, segmentationOffload: !values['no-offload'] });
  const script = fileURLToPath(import.meta.url);
  const inside = ['--inside', `${pair.server}/${pair.serverAddress}`];
  const command = [process.execPath, script, ...process.argv.slice(2), ...inside];
  const child = spawn('ip', ['netns', 'exec', pair.client, ...command], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  process.exitCode = code ?? 1;
}

async function measureAll([namespace, host]) {
  const prefix = ['ip', 'netns', 'exec', namespace];
  await withTempDir(async (directory) => {
    const program = await referenceProgram(directory);
    const contenders = {};
    const brokers = [];
    for (const serve of SERVES) {
      const place = { directory: join(directory, serve), host, prefix, program };
      const { server, cost } = await brokerOf(place, serve);
      brokers.push(server);
      contenders[`broker, ${serve}`] = cost;
    }
    const file = join(directory, 'file');
    writeFileSync(file, randomBytes(STORED_BYTES));
    for (const serve of SERVES) {
      const loop = [...prefix.slice(1), program, 'out', serve, file, String(chunkBytes), host];
      contenders[`C loop, ${serve}`] = () => loopCost(loop, { directory, host, program });
    }
    const results = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
    for (let round = 0; round < Number(values.rounds); round += 1) {
      const turns = Object.entries(contenders);
      for (const [name, cost] of round % 2 === 0 ? turns : turns.reverse()) {
        results[name].push(await cost());
      }
    }
    for (const server of brokers) await server.stop();
    const row = (name) => {
      const beside = results[name.replace(/\w+$/, 'copy')];
      const ratios = results[name].map(({ cpu }, i) => cpu / beside[i].cpu);
      const told = ['cpu', 'rate'].map((key) => spread(results[name].map((cell) => cell[key])));
      return [name, ...told, spread(ratios)];
    };
    console.log(
      `${values.mib} MiB out in chunks of ${values['chunk-kib']} KiB, ${values.rounds} rounds`,
    );
    printTable([['', 'CPU s/GiB', 'MiB/s', 'CPU to copy'], ...Object.keys(contenders).map(row)]);
  });
}

async function brokerOf({ directory, host, prefix, program }, serve) {
  const args = ['--persist', 'write', '--serve', serve];
  const server = await Server.broker(directory, args, { host, prefix });
  const batch = fullBatch(BATCH_BYTES, randomBytes(1_000));
  const topicId = await makeTopic(`${host}:${server.port}`, 'veth');
  const frames = join(directory, 'produce.frames');
  writeFileSync(frames, produceFrames(topicId, batch, 8));
  const stored = Math.ceil(STORED_BYTES / batch.bytes.length);
  await drive(program, [host, server.port, frames, '8', '0', stored]);
  const batches = Math.floor(chunkBytes / batch.bytes.length);
  const region = { records: batches * batch.records, bytes: batches * batch.bytes.length };
  const fetches = join(directory, 'fetch.frames');
  const requests = Math.floor(stored / batches) - 1;
  writeFileSync(fetches, fetchFrames(topicId, region, requests));
  const count = Math.round(readBytes / region.bytes);
  const cost = async () => {
    const before = server.cpuSeconds();
    const { seconds } = await drive(program, [host, server.port, fetches, DEPTH, '4', count]);
    const cpu = (server.cpuSeconds() - before) / ((count * region.bytes) / 2 ** 30);
    return { cpu, rate: (count * region.bytes) / MiB / seconds };
  };
  return { server, cost };
}

async function loopCost(args, { directory, host, program }) {
  const loop = new LoopProcess('ip', args);
  const { port } = await loop.next();
  const frames = join(directory, 'loop.frames');
  writeFileSync(frames, fetchFrames('0'.repeat(32), { records: 1, bytes: chunkBytes }, 2));
  const count = Math.round(readBytes / chunkBytes);
  const { seconds } = await drive(program, [host, port, frames, DEPTH, '4', count]);
  const { bytes, cpuSystemSeconds, cpuUserSeconds } = await loop.next();
  await loop.ended();
  const cpu = (cpuSystemSeconds + cpuUserSeconds) / (bytes / 2 ** 30);
  return { cpu, rate: bytes / MiB / seconds };
}

async function drive(program, args) {
  const driver = new LoopProcess(program, ['drive', ...args.map(String)]);
  const moved = await driver.next();
  await driver.ended();
  return moved;
}
