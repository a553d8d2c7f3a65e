/*
 * What it costs a broker to take a little in many partitions: its CPU, as a share of a core, while 1,000 messages a
 * second of 1 KiB come, with acks=1 and without linger, to 1, 100 or 1,000 partitions in turn; by each way to persist.
 * All brokers stand by meanwhile, and take turns. A turn is as long as a checkpoint lasts, by default.
 *
 *     npm run bench:trickle [-- --rounds 5 --seconds 10 --rate 1000 --partitions 1,100,1000 --persist adaptive,mmap,write]
 *
 * Timings of a shared machine are noisy: read the ratios, and the spread before you believe a median.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Millrace } from '@millrace/client';
import { createTopic } from './durability/append.js';
import { printTable, Server, spread, withTempDir } from './spine/processes.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '1000' },
    partitions: { type: 'string', default: '1,100,1000' },
    persist: { type: 'string', default: 'adaptive,mmap,write' },
  },
});
const rate = Number(values.rate);
const value = Buffer.alloc(1024, 'v');
const TICK_MS = 2;

/** Sends at the rate for that long, and resolves when all is acknowledged. */
async function send(producer, topic, partitions, seconds) {
  const startedAt = performance.now();
  const acknowledged = [];
  for (let sent = 0; sent < rate * seconds;) {
    const due = Math.min(((performance.now() - startedAt) / 1000) * rate, rate * seconds);
    for (; sent < due; sent += 1) {
      acknowledged.push(producer.send(topic, { value, partition: sent % partitions }));
    }
    await sleep(TICK_MS);
  }
  await Promise.all(acknowledged);
}

await withTempDir(async (directory) => {
  const cells = [];
  for (const persist of values.persist.split(',')) {
    const server = await Server.broker(join(directory, persist), ['--persist', persist]);
    const client = new Millrace({ brokers: [`127.0.0.1:${server.port}`] });
    const producer = client.producer({ acks: 1, lingerMs: 0 });
    for (const partitions of values.partitions.split(',').map(Number)) {
      const topic = `trickle-${partitions}`;
      await createTopic(server, topic, partitions);
      cells.push({ persist, server, client, producer, topic, partitions, shares: [] });
    }
  }
  for (let round = -1; round < Number(values.rounds); round += 1) {
    const order = round % 2 === 0 ? cells : [...cells].reverse();
    for (const { server, producer, topic, partitions, shares } of order) {
      // A steady state: what was taken before is being synced while more comes.
      await send(producer, topic, partitions, 2);
      const before = server.cpuSeconds();
      const startedAt = performance.now();
      await send(producer, topic, partitions, Number(values.seconds));
      const seconds = (performance.now() - startedAt) / 1000;
      if (round >= 0) shares.push(((server.cpuSeconds() - before) / seconds) * 100);
      await server.rest();
    }
  }
  const [first] = cells;
  const ratio = ({ shares }, to) => spread(shares.map((share, i) => share / to.shares[i]));
  printTable([
    ['', '% of a core', `to ${first.partitions} partition`],
    ...cells.map((cell) => [
      `${cell.persist}, ${cell.partitions} partitions`,
      spread(cell.shares),
      ratio(
        cell,
        cells.find(({ persist }) => persist === cell.persist),
      ),
    ]),
  ]);
  for (const server of new Set(cells.map((cell) => cell.server))) await server.stop();
  for (const client of new Set(cells.map((cell) => cell.client))) await client.close();
});
