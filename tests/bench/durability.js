/*
 * What being on the disk costs: producers with `acks=all` against the same with `acks=1`, in turns.
 *
 *     npm run bench:durability [-- --rounds N --mib N --partitions 1,100 --via raw,sdk --persist adaptive]
 *
 * Timings of a shared machine are noisy: read the ratios, and the spread before you believe a median.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createTopic } from './durability/append.js';
import { printTable, runScript, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    mib: { type: 'string', default: '256' },
    producers: { type: 'string', default: '16' },
    'in-flight': { type: 'string', default: '5' },
    partitions: { type: 'string', default: '1,100' },
    via: { type: 'string', default: 'raw,sdk' },
    persist: { type: 'string', default: 'adaptive' },
  },
});
const totalBytes = Number(values.mib) * 2 ** 20;
const loader = fileURLToPath(new URL('./durability/load.js', import.meta.url));

async function load(server, { via, topic, acks, bytes }) {
  const { producers, 'in-flight': inFlight } = values;
  const args = [via, server.port, topic, acks, producers, inFlight, String(bytes)];
  const before = server.cpuSeconds();
  const result = await runScript([loader, ...args]);
  const mib = result.bytes / 2 ** 20;
  return {
    mibPerSecond: mib / result.seconds,
    cpuPerGib: (server.cpuSeconds() - before) / (mib / 1024),
  };
}

/** Both acks on fresh topics of one broker; which comes first changes from round to round. */
async function round(index, via, partitions) {
  return withTempDir(async (directory) => {
    const server = await Server.broker(directory, ['--persist', values.persist]);
    try {
      const result = {};
      await createTopic(server, 'warm', partitions);
      await load(server, { via, topic: 'warm', acks: 'all', bytes: totalBytes / 8 });
      await load(server, { via, topic: 'warm', acks: '1', bytes: totalBytes / 2 });
      for (const acks of index % 2 === 0 ? ['1', 'all'] : ['all', '1']) {
        await createTopic(server, `acks-${acks}`, partitions);
        result[acks] = await load(server, { via, topic: `acks-${acks}`, acks, bytes: totalBytes });
      }
      return result;
    } finally {
      await server.stop();
    }
  });
}

console.log(
  `acks=all against acks=1: ${values.producers} producers, 16 KiB batches, ${values['in-flight']} in ` +
    `flight each, ${values.mib} MiB a load, persist ${values.persist}; ${values.rounds} rounds, ` +
    'interleaved, medians (min–max)\n',
);
const cases = values.via
  .split(',')
  .flatMap((via) =>
    values.partitions.split(',').map((count) => ({ via, partitions: Number(count) })),
  );
const results = cases.map(() => []);
for (let index = 0; index < Number(values.rounds); index += 1) {
  for (const [k, { via, partitions }] of cases.entries()) {
    results[k].push(await round(index, via, partitions));
  }
}
const rows = cases.map(({ via, partitions }, k) => {
  const of = (acks, field, digits) =>
    spread(
      results[k].map((result) => result[acks][field]),
      digits,
    );
  return [
    `${via}, ${partitions} partition${partitions === 1 ? '' : 's'}`,
    of('1', 'mibPerSecond', 0),
    of('all', 'mibPerSecond', 0),
    spread(results[k].map((result) => result.all.mibPerSecond / result[1].mibPerSecond)),
    of('1', 'cpuPerGib'),
    of('all', 'cpuPerGib'),
  ];
});
const heads = ['acks=1 MiB/s', 'acks=all MiB/s', 'ratio', 'CPU s/GiB acks=1', 'acks=all'];
printTable([['', ...heads], ...rows]);
