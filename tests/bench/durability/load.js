/*
 * Producers that send batches (of 16 KiB) as fast as they are acknowledged, as a process of its own; prints
 * what was acknowledged, as JSON.
 *
 *   raw   a connection each, with so many requests in flight, built once: as little of this process's
 *         time as can be, so that the broker is what is measured
 *   sdk   a producer of the SDK each, with its own connection and batches of that size
 *
 * usage: node load.js raw|sdk PORT TOPIC ACKS(all|1) PRODUCERS IN_FLIGHT TOTAL_BYTES [BATCH_BYTES]
 */
import { connect } from 'node:net';
import { Millrace } from '@millrace/client';
import { decodeResponseFrame, encodeRequestFrame, FrameDecoder } from '@millrace/protocol';
import { produceApi, RecordBatchBuilder } from '@millrace/protocol';

const VALUE_BYTES = 1000;

const [via, port, topic, acks, producers, inFlight, total, batchBytes] = process.argv.slice(2);
const BATCH_BYTES = Number(batchBytes ?? 16 * 1024);
const broker = `127.0.0.1:${port}`;
const totalBytes = Number(total);

/** A batch of nearly `BATCH_BYTES`, without a producer id. */
function fullBatch() {
  const builder = new RecordBatchBuilder({});
  const value = Buffer.alloc(VALUE_BYTES, 'm');
  while (builder.sizeBytes + VALUE_BYTES + 20 < BATCH_BYTES) {
    builder.append(null, value, null, Date.now());
  }
  return builder.build();
}

/** Sends to each partition in turn; `claim` says whether there is more to send. */
function rawProducer({ topicId, partitions, first, batch, claim }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
    const decoder = new FrameDecoder();
    let partition = first;
    let pending = 0;
    const fill = () => {
      socket.cork();
      while (pending < Number(inFlight) && claim()) {
        const entries = [{ topicId, partition, byteLength: batch.length }];
        const request = { acks: acks === 'all' ? -1 : 1, timeoutMs: 30_000, entries };
        socket.write(encodeRequestFrame(produceApi, partition, request, batch.length));
        socket.write(batch);
        partition = (partition + 1) % partitions;
        pending += 1;
      }
      socket.uncork();
      if (pending === 0) {
        socket.destroy();
        resolve();
      }
    };
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the broker closed the connection')));
    socket.on('data', (chunk) => {
      for (const frame of decoder.push(chunk)) {
        const [entry] = decodeResponseFrame(produceApi, frame).entries;
        if (entry.errorCode !== 0) reject(new Error(entry.errorMessage));
        pending -= 1;
      }
      fill();
    });
    socket.on('connect', fill);
  });
}

async function raw({ topicId, partitions }) {
  const batch = fullBatch();
  const count = Math.ceil(totalBytes / batch.length);
  let claimed = 0;
  const claim = () => {
    claimed += 1;
    return claimed <= count;
  };
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: Number(producers) }, (_, i) => {
      const first = Math.floor((i * partitions.length) / Number(producers));
      return rawProducer({ topicId, partitions: partitions.length, first, batch, claim });
    }),
  );
  return { bytes: count * batch.length, seconds: (performance.now() - startedAt) / 1000 };
}

async function sdk({ partitions }) {
  const value = Buffer.alloc(VALUE_BYTES, 'm');
  const perProducer = Math.ceil(totalBytes / VALUE_BYTES / Number(producers));
  const run = async (i) => {
    const client = new Millrace({ brokers: [broker], clientId: `durability-${i}` });
    const producer = client.producer({
      acks: acks === 'all' ? 'all' : 1,
      batchBytes: BATCH_BYTES,
      maxInFlight: Number(inFlight),
    });
    let partition = Math.floor((i * partitions.length) / Number(producers));
    for (let sent = 0; sent < perProducer; sent += 1) {
      if (sent % 15 === 0) partition = (partition + 1) % partitions.length;
      if (!producer.enqueue(topic, { value, partition })) await producer.ready();
    }
    await producer.close();
    await client.close();
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: Number(producers) }, (_, i) => run(i)));
  const bytes = perProducer * Number(producers) * VALUE_BYTES;
  return { bytes, seconds: (performance.now() - startedAt) / 1000 };
}

const client = new Millrace({ brokers: [broker] });
const described = await client.admin.describeTopics([topic]);
await client.close();
try {
  console.log(JSON.stringify(await (via === 'raw' ? raw : sdk)(described[0])));
} catch (error) {
  // As when the broker is killed on purpose.
  console.error(`the load ended: ${error.message}`);
  process.exit(1);
}
