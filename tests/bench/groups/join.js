/* How soon the first message arrives: `consumer()` on a fresh group, and a plain reader beside it. */
import { Millrace } from '@millrace/client';
import { printTable, Server, spread, withTempDir } from '../spine/processes.js';

/** Rounds before those that count: code is compiled, files are in the page cache. */
const WARM_UPS = 2;

/** From `consumer()` to the first message, by a client of its own, as a program that starts has it. */
async function firstMessageMs(port, options) {
  const client = new Millrace({ brokers: [`127.0.0.1:${port}`], clientId: 'first' });
  const startedAt = performance.now();
  const consumer = client.consumer({ topics: ['first'], from: 'beginning', ...options });
  await consumer[Symbol.asyncIterator]().next();
  const elapsedMs = performance.now() - startedAt;
  await client.close();
  return elapsedMs;
}

export async function benchJoin({ rounds }) {
  console.log(`first message after consumer(), ${rounds} rounds, medians (min–max)`);
  const grouped = [];
  const plain = [];
  await withTempDir(async (directory) => {
    const server = await Server.broker(directory);
    const client = new Millrace({ brokers: [`127.0.0.1:${server.port}`] });
    await client.admin.createTopic({ name: 'first', partitions: 4 });
    const producer = client.producer();
    for (let partition = 0; partition < 4; partition += 1) {
      await producer.send('first', { value: 'hello', partition });
    }
    await client.close();
    for (let i = -WARM_UPS; i < rounds; i += 1) {
      const inGroup = await firstMessageMs(server.port, { group: `fresh-${i}` });
      const alone = await firstMessageMs(server.port, {});
      if (i < 0) continue;
      grouped.push(inGroup);
      plain.push(alone);
    }
    await server.stop();
  });
  printTable([
    ['a fresh group', `${spread(grouped, 0)} ms`],
    ['a plain reader', `${spread(plain, 0)} ms`],
  ]);
}
