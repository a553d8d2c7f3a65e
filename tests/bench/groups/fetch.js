/* Reading with a group beside a plain reader: the same messages, rounds interleaved. */
import { Millrace } from '@millrace/client';
import { printTable, Server, spread, withTempDir } from '../spine/processes.js';

const MESSAGES = 12_000_000;
const MESSAGE_BYTES = 100;
const PARTITIONS = 4;

async function produce(client) {
  const producer = client.producer({ acks: 1 });
  const value = Buffer.alloc(MESSAGE_BYTES, 'm');
  for (let i = 0; i < MESSAGES; i += 1) {
    value.writeUInt32LE(i, 0);
    const message = { value, partition: Math.floor(i / 10_000) % PARTITIONS };
    if (!producer.enqueue('read', message)) await producer.ready();
  }
  await producer.close();
}

/**
 * Thousand messages per second by batches or one by one, from the first on: joining is measured on its
 * own. Every value and offset is touched.
 */
async function consume(client, options, byBatch) {
  let seen = 0;
  let touched = 0;
  let startedAt = 0;
  const consumer = client.consumer({ topics: ['read'], from: 'beginning', ...options });
  if (byBatch) {
    for await (const batch of consumer.batches()) {
      if (seen === 0) startedAt = performance.now();
      for (const message of batch) {
        touched += message.value[0] + message.offset;
        seen += 1;
      }
      if (seen >= MESSAGES) break;
    }
  } else {
    for await (const message of consumer) {
      if (seen === 0) startedAt = performance.now();
      touched += message.value[0] + message.offset;
      seen += 1;
      if (seen >= MESSAGES) break;
    }
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  if (!(touched > 0)) throw new Error('nothing was touched');
  return seen / seconds / 1_000;
}

export async function benchFetch({ rounds }) {
  console.log(`${MESSAGES} messages of ${MESSAGE_BYTES} bytes, ${rounds} rounds, thousand/s`);
  const rows = [['', 'plain', 'group', 'ratio']];
  await withTempDir(async (directory) => {
    const server = await Server.broker(directory);
    const client = new Millrace({ brokers: [`127.0.0.1:${server.port}`] });
    await client.admin.createTopic({ name: 'read', partitions: PARTITIONS });
    await produce(client);
    for (const byBatch of [true, false]) {
      const name = byBatch ? 'batches()' : 'message by message';
      const plain = [];
      const group = [];
      for (let i = -1; i < rounds; i += 1) {
        const groupId = `${name}-${i}`;
        const order = i % 2 === 0 ? ['plain', 'group'] : ['group', 'plain'];
        for (const kind of order) {
          const options = kind === 'group' ? { group: groupId } : {};
          const rate = await consume(client, options, byBatch);
          if (i >= 0) (kind === 'group' ? group : plain).push(rate);
        }
      }
      const ratios = group.map((rate, i) => rate / plain[i]);
      rows.push([name, spread(plain, 0), spread(group, 0), spread(ratios)]);
    }
    await client.close();
    await server.stop();
  });
  printTable(rows);
}
