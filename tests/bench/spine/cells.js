/* The cells side by side, and the bare loop beside them, rounds interleaved. */
import { printTable, Server, spread, withTempDir } from './processes.js';

const GiB = 2 ** 30;
/** Until V8 has compiled what runs. */
const WARM_UP_IN_BYTES = GiB / 2;
const WARM_UP_OUT_BYTES = 2 * GiB;

const prototype = (persist, serve) => ({
  name: `loop ${persist}+${serve}`,
  start: (directory) => Server.bareLoop(directory, persist, serve),
});
const cell = (persist, serve) => ({
  name: `broker ${persist}+${serve}`,
  start: (directory) => Server.broker(directory, ['--persist', persist, '--serve', serve]),
});

const contenders = [
  prototype('mmap', 'sendfile'),
  cell('adaptive', 'sendfile'),
  cell('mmap', 'sendfile'),
  cell('mmap', 'mmap'),
  cell('mmap', 'copy'),
  prototype('write', 'copy'),
  cell('write', 'sendfile'),
  cell('write', 'mmap'),
  cell('write', 'copy'),
];

async function round(contender, inBytes, outBytes) {
  return withTempDir(async (directory) => {
    const server = await contender.start(directory);
    try {
      await server.load('in', WARM_UP_IN_BYTES);
      const into = await server.load('in', inBytes);
      await server.load('out', WARM_UP_OUT_BYTES);
      const out = await server.load('out', outBytes);
      return { into, out };
    } finally {
      await server.stop();
    }
  });
}

export async function benchCells({ rounds, inBytes = GiB, outBytes = 3 * GiB }) {
  console.log(`the cells and a bare loop: ${rounds} rounds, interleaved, medians (min–max)`);
  console.log('in: 64 KiB batches, acks=1; out: 1 MiB fetches; CPU of the whole server process');
  const results = contenders.map(() => []);
  await round(contenders[0], inBytes, outBytes); // the first touch of the machine's memory
  for (let i = 0; i < rounds; i += 1) {
    for (const [k, contender] of contenders.entries()) {
      results[k].push(await round(contender, inBytes, outBytes));
    }
  }
  const loop = results[0];
  const ratios = (rows, pick) => spread(rows.map((row, i) => pick(row) / pick(loop[i])));
  const rows = contenders.map(({ name }, k) => [
    name,
    spread(results[k].map(({ into }) => into.gibPerSecond)),
    ratios(results[k], ({ into }) => into.gibPerSecond),
    spread(results[k].map(({ into }) => into.cpuPerGib)),
    spread(results[k].map(({ out }) => out.gibPerSecond)),
    ratios(results[k], ({ out }) => out.gibPerSecond),
    spread(results[k].map(({ out }) => out.cpuPerGib)),
  ]);
  const heads = ['GiB/s in', '× first loop', 'CPU s/GiB', 'GiB/s out', '× first loop', 'CPU s/GiB'];
  printTable([['', ...heads], ...rows]);
}
