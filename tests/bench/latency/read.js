/*
 * Reads a topic from its beginning to its end, as fast as it comes, by a consumer of the SDK in a process of its
 * own; prints how many messages and how long, as JSON.
 *
 * usage: node read.js PORT TOPIC
 */
import { Millrace } from '@millrace/client';

const [port, topic] = process.argv.slice(2);
const client = new Millrace({ brokers: [`127.0.0.1:${port}`], clientId: 'read' });
let messages = 0;
const startedAt = performance.now();
for await (const batch of client.consumer({ topics: [topic], exitAtEnd: true }).batches()) {
  messages += batch.count;
}
console.log(JSON.stringify({ messages, seconds: (performance.now() - startedAt) / 1000 }));
await client.close();
