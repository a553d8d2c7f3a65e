/* What the SDK moves: 100-byte messages, one broker, everything on this machine. */
import { Millrace } from '@millrace/client';
import { printTable, Server, spread, withTempDir } from './processes.js';

const MESSAGE_BYTES = 100;

async function produce(client, count) {
  const producer = client.producer({ acks: 1 });
  const value = Buffer.alloc(MESSAGE_BYTES, 'm');
  let maxBuffered = 0;
  const startedAt = performance.now();
  for (let i = 0; i < count; i += 1) {
    value.writeUInt32LE(i, 0);
    if (!producer.enqueue('sdk', { value })) {
      maxBuffered = Math.max(maxBuffered, producer.bufferedBytes);
      await producer.ready();
    }
  }
  await producer.flush();
  const seconds = (performance.now() - startedAt) / 1000;
  await producer.close();
  return { perSecond: count / seconds, maxBuffered };
}

/** Every batch's CRC is checked; every value and offset is touched. */
async function consume(client, count) {
  let seen = 0;
  let touched = 0;
  const startedAt = performance.now();
  for await (const batch of client.consumer({ topics: ['sdk'] }).batches()) {
    for (const message of batch) {
      touched += message.value[0] + message.offset;
      seen += 1;
    }
    if (seen >= count) break;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  if (!(touched > 0)) throw new Error('nothing was touched');
  return { perSecond: seen / seconds };
}

export async function benchSdk({ rounds, messages = 2_000_000 }) {
  console.log(
    `SDK: ${messages} messages of ${MESSAGE_BYTES} bytes, ${rounds} rounds, medians (min–max)`,
  );
  const produced = [];
  const consumed = [];
  let maxBuffered = 0;
  let rss = 0;
  for (let i = 0; i <= rounds; i += 1) {
    await withTempDir(async (directory) => {
      const server = await Server.broker(directory);
      const client = new Millrace({ brokers: [`127.0.0.1:${server.port}`], clientId: 'spine' });
      await client.admin.createTopic({ name: 'sdk', partitions: 1 });
      const into = await produce(client, messages);
      const out = await consume(client, messages);
      maxBuffered = Math.max(maxBuffered, into.maxBuffered);
      rss = Math.max(rss, process.memoryUsage.rss());
      await client.close();
      await server.stop();
      if (i === 0) return; // warms up this process
      produced.push(into.perSecond / 1000);
      consumed.push(out.perSecond / 1000);
    });
  }
  printTable([
    ['enqueue, acks=1', `${spread(produced, 0)} thousand/s`],
    ['batches(), CRC checked', `${spread(consumed, 0)} thousand/s`],
    ['most bytes buffered by the producer', `${(maxBuffered / 2 ** 20).toFixed(1)} MiB`],
    ['RSS of this process', `${(rss / 2 ** 20).toFixed(0)} MiB`],
  ]);
}
