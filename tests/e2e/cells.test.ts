import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import type { Producer } from '@millrace/client';
import { BrokerProcess } from '../support/broker-process.js';
import { cells } from '../support/cells.js';
import { seededRandom, testSeed } from '../support/seed.js';
import { makeTempDir } from '../support/temp-dir.js';

const MESSAGES = 40_000;
const PARTITIONS = 4;
/** Small enough that every partition goes through several segments. */
const SEGMENT_BYTES = '262144';
const CRASH_MESSAGES = 6_000;
/** Under more load, again and again: tests/faults/kill.test.ts. */
const CRASHES = 1;

let dataDir: string;
let cleanUp: (() => Promise<void>)[];

beforeEach(async () => {
  const directory = await makeTempDir();
  dataDir = directory.path;
  cleanUp = [directory.remove];
});

afterEach(async () => {
  for (const step of cleanUp.reverse()) await step();
});

async function startBroker(args: readonly string[]): Promise<BrokerProcess> {
  const broker = await BrokerProcess.start(dataDir, args);
  cleanUp.push(() => broker.kill());
  return broker;
}

function connect(address: string): Millrace {
  const client = new Millrace({ brokers: [address], clientId: 'e2e' });
  cleanUp.push(() => client.close());
  return client;
}

/** What a consumer that starts at the beginning sees up to the end, by partition. */
async function readAll(client: Millrace, topic: string): Promise<Map<number, string[]>> {
  const seen = new Map<number, string[]>();
  const lastOffsets = new Map<number, number>();
  for await (const message of client.consumer({ topics: [topic], exitAtEnd: true })) {
    const { partition, offset } = message;
    if (offset <= (lastOffsets.get(partition) ?? -1)) {
      throw new Error(`offset ${offset} of partition ${partition} came out of order`);
    }
    lastOffsets.set(partition, offset);
    const values = seen.get(partition) ?? [];
    values.push(message.value?.toString() ?? '');
    seen.set(partition, values);
  }
  return seen;
}

describe.each(cells)('persist $persist, serve $serve', ({ persist, serve }) => {
  const args = ['--persist', persist, '--serve', serve, '--segment-bytes', SEGMENT_BYTES];

  test('all messages in, the same out, in order per partition, and again after a stop', async () => {
    const broker = await startBroker(args);
    expect(broker.ready).toMatchObject({ persist, serve });
    const client = connect(broker.address);
    await client.admin.createTopic({ name: 'orders', partitions: PARTITIONS });
    const producer = client.producer({ acks: 1 });
    const sent = Array.from({ length: PARTITIONS }, (): string[] => []);
    for (let i = 0; i < MESSAGES; i += 1) {
      const partition = i % PARTITIONS;
      const value = `message ${i} ${'x'.repeat(i % 100)}`;
      sent[partition]?.push(value);
      if (!producer.enqueue('orders', { value, partition })) await producer.ready();
    }
    await producer.flush();

    const seen = await readAll(client, 'orders');
    for (const [partition, values] of sent.entries()) expect(seen.get(partition)).toEqual(values);

    await client.close();
    expect(await broker.stop('SIGTERM')).toBe(0);
    const again = await startBroker(args);
    const afterwards = await readAll(connect(again.address), 'orders');
    for (const [partition, values] of sent.entries()) {
      expect(afterwards.get(partition)).toEqual(values);
    }
  });

  test('kill -9 while producing loses, repeats and reorders nothing acknowledged', async () => {
    const random = seededRandom(testSeed());
    let broker = await startBroker(args);
    const restartArgs = [...args, '--listen', broker.address];
    const client = connect(broker.address);
    await client.admin.createTopic({ name: 'ledger', partitions: 2 });

    const problems: Error[] = [];
    const onError = (error: Error): void => void problems.push(error);
    const produce = async (producer: Producer, partition: number): Promise<string[]> => {
      const acknowledged: string[] = [];
      for (let i = 0; i < CRASH_MESSAGES; i += 100) {
        const messages = Array.from({ length: 100 }, (_, k) => ({
          value: `${partition}:${i + k}`,
          partition,
        }));
        await producer.sendBatch('ledger', messages);
        acknowledged.push(...messages.map(({ value }) => value));
        progress.count += 1;
        progress.wake();
      }
      return acknowledged;
    };
    const progress = { count: 0, wake: (): void => undefined };
    const reached = (count: number): Promise<void> =>
      new Promise((resolve) => {
        progress.wake = () => {
          if (progress.count >= count) resolve();
        };
        progress.wake();
      });

    const producing = Promise.all([
      produce(client.producer({ acks: 'all', onError }), 0),
      produce(client.producer({ acks: 1, onError }), 1),
    ]);
    const rounds = (2 * CRASH_MESSAGES) / 100;
    for (let crash = 1; crash <= CRASHES; crash += 1) {
      const part = (crash - 1 + random()) / (CRASHES + 1);
      await Promise.race([reached(Math.max(1, Math.floor(rounds * part))), producing]);
      await broker.kill();
      broker = await startBroker(restartArgs);
    }
    const acknowledged = await producing;
    const seen = await readAll(client, 'ledger');
    for (const [partition, values] of acknowledged.entries()) {
      expect(seen.get(partition)).toEqual(values);
    }
    expect(problems).toEqual([]);
  });
});
