/*
 * Consumers of the SDK that read the last messages of a topic, each with a connection and a share of the
 * partitions of its own, in one process; prints how much and how long, as JSON.
 *
 * usage: node read.js PORT TOPIC CONNECTIONS MESSAGES
 */
import { Millrace } from '@millrace/client';

const [port, topic, connections, total] = process.argv.slice(2);
const brokers = [`127.0.0.1:${port}`];
const clients = Array.from({ length: Number(connections) }, () => new Millrace({ brokers }));
const offsets = await clients[0].admin.offsets(topic);
const each = Math.ceil(Number(total) / offsets.length);
const from = {
  offset: Math.max(0, Math.min(...offsets.map(({ end }) => end)) - each),
  clamp: true,
};
let messages = 0;

async function read(client, first) {
  const partitions = offsets.map(({ partition }) => partition);
  const mine = partitions.filter((partition) => partition % clients.length === first);
  const consumer = client.consumer({ topics: [topic], partitions: mine, from, exitAtEnd: true });
  for await (const batch of consumer.batches()) messages += batch.count;
}

const startedAt = performance.now();
await Promise.all(clients.map(read));
console.log(JSON.stringify({ messages, seconds: (performance.now() - startedAt) / 1000 }));
await Promise.all(clients.map((client) => client.close()));
