/*
 * Messages at a steady rate, each timed from when it was to be sent until it is back in this process: through
 * a bare TCP echo, or through a topic, by a producer and a consumer of the SDK. Prints percentiles as JSON.
 *
 * Between messages it turns the event loop, exactly, with a core of its own; or with `timer` it sends each
 * millisecond what is due, and leaves the core to others.
 *
 * usage: node load.js echo|topic PORT RATE SECONDS SIZE_BYTES ACKS(all|1) PACING(spin|timer)
 */
import { connect } from 'node:net';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { Millrace } from '@millrace/client';

const [via, port, rate, seconds, sizeBytes, acks, pacing] = process.argv.slice(2);
const WARM_UP_SECONDS = 2;
const TOPIC = 'latency';
const perSecond = Number(rate);
const warmUp = WARM_UP_SECONDS * perSecond;
const total = warmUp + Number(seconds) * perSecond;
const size = Number(sizeBytes);
const latenciesMs = new Float64Array(total - warmUp);
let received = 0;
let begun = false;

/** A message is told by its first bytes: the moment at which it was to be sent. */
const stamp = (value, dueMs) => value.writeDoubleLE(dueMs, 0);
function receive(dueMs) {
  // What only asked for the consumer to begin.
  if (dueMs === 0) return void (begun = true);
  if (received >= warmUp) latenciesMs[received - warmUp] = performance.now() - dueMs;
  received += 1;
}

async function openEcho() {
  const socket = connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
  const rest = Buffer.alloc(size);
  let filled = 0;
  socket.on('data', (chunk) => {
    for (let at = 0; at < chunk.length;) {
      const some = Math.min(size - filled, chunk.length - at);
      if (filled < 8) chunk.copy(rest, filled, at, at + some);
      filled += some;
      at += some;
      if (filled < size) continue;
      filled = 0;
      receive(rest.readDoubleLE(0));
    }
  });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return { send: (value) => socket.write(Buffer.from(value)), close: () => socket.destroy() };
}

async function openTopic() {
  const client = new Millrace({ brokers: [`127.0.0.1:${port}`], clientId: 'latency' });
  const producer = client.producer({ acks: acks === 'all' ? 'all' : 1, lingerMs: 0 });
  const consumer = client.consumer({ topics: [TOPIC], from: 'end' });
  const reading = (async () => {
    for await (const batch of consumer.batches()) {
      for (const { value } of batch) {
        receive(Buffer.from(value.buffer, value.byteOffset, value.byteLength).readDoubleLE(0));
      }
    }
  })();
  // Until the first comes back it is not known whether the consumer has begun.
  const first = Buffer.alloc(size);
  while (!begun) {
    await producer.send(TOPIC, { value: first });
    await turn();
  }
  const close = async () => {
    await consumer.close();
    await reading;
    await client.close();
  };
  return { send: (value) => void producer.enqueue(TOPIC, { value }), close };
}

const { close, send } = await (via === 'echo' ? openEcho() : openTopic());
const value = Buffer.alloc(size, 'm');
const startMs = performance.now();
/** In all; whoever takes longer than that loses messages, or cannot hold the rate. */
const deadlineMs = startMs + ((total / perSecond) * 3 + 30) * 1000;
for (let sent = 0; received < total;) {
  const due = Math.min(total, Math.floor(((performance.now() - startMs) * perSecond) / 1000));
  for (; sent < due; sent += 1) {
    stamp(value, startMs + (sent * 1000) / perSecond);
    send(value);
  }
  if (performance.now() > deadlineMs)
    throw new Error(`${total - received} messages did not come back`);
  await (pacing === 'timer' ? delay(1) : turn());
}
latenciesMs.sort();
const percentile = (p) =>
  latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(p * latenciesMs.length))];
console.log(
  JSON.stringify({ p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999) }),
);
await close();
