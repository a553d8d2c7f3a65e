/*
 * Reads bytes from the beginning of a topic, as fast as they come, by a consumer of the SDK in a process of its
 * own; prints how much and how long, as JSON.
 *
 * usage: node read.js PORT TOPIC BYTES
 */
import { Millrace } from '@millrace/client';

const [port, topic, total] = process.argv.slice(2);
const client = new Millrace({ brokers: [`127.0.0.1:${port}`], clientId: 'read' });
let bytes = 0;
const startedAt = performance.now();
for await (const batch of client.consumer({ topics: [topic], exitAtEnd: true }).batches()) {
  bytes += batch.sizeBytes;
  if (bytes >= Number(total)) break;
}
console.log(JSON.stringify({ bytes, seconds: (performance.now() - startedAt) / 1000 }));
await client.close();
