/* How soon a broker is ready and what it holds: empty, and with 2,000 partitions. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Millrace } from '@millrace/client';
import { printTable, Server, spread, withTempDir } from './processes.js';

const PARTITIONS = 2_000;
/** After start-up V8 still compiles and collects; idle is what is left. */
const SETTLE_MS = 2_000;

export async function benchFootprint({ rounds }) {
  console.log('start-up and footprint');
  const ready = [];
  const rss = [];
  for (let i = 0; i < rounds; i += 1) {
    await withTempDir(async (directory) => {
      const server = await Server.broker(directory);
      await sleep(SETTLE_MS);
      ready.push(server.readyMs);
      rss.push(server.rssMiB());
      await server.stop();
    });
  }
  const rows = [
    ['ready on an empty data directory', `${spread(ready, 0)} ms`],
    ['idle RSS', `${spread(rss, 0)} MiB`],
  ];
  await withTempDir(async (directory) => {
    const first = await Server.broker(directory);
    const client = new Millrace({ brokers: [`127.0.0.1:${first.port}`], clientId: 'spine' });
    await client.admin.createTopic({ name: 'wide', partitions: PARTITIONS });
    const producer = client.producer({ acks: 1 });
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      if (!producer.enqueue('wide', { value: 'one', partition })) await producer.ready();
    }
    await producer.flush();
    await sleep(SETTLE_MS);
    const name = `${PARTITIONS} partitions, each appended to:`;
    rows.push([`${name} RSS`, `${first.rssMiB().toFixed(0)} MiB`]);
    rows.push([`${name} descriptors`, first.descriptors()]);
    rows.push([`${name} mappings`, first.mappings()]);
    await client.close();
    // Un-clean: every partition has to be recovered, and goes on behind its offset ceiling.
    first.child.kill('SIGKILL');
    const restarts = ['kill -9', 'a clean stop'];
    for (const restart of restarts) {
      const server = await Server.broker(directory);
      await sleep(SETTLE_MS);
      const label = `${PARTITIONS} partitions, after ${restart}:`;
      rows.push([`${label} ready`, `${server.readyMs.toFixed(0)} ms`]);
      rows.push([`${label} RSS`, `${server.rssMiB().toFixed(0)} MiB`]);
      rows.push([`${label} descriptors`, server.descriptors()]);
      rows.push([`${label} mappings`, server.mappings()]);
      await server.stop();
    }
  });
  printTable(rows);
}
