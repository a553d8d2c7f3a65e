import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { BrokerProcess } from '../../../support/broker-process.js';
import { seededRandom, testSeed } from '../../../support/seed.js';
import { makeTempDir } from '../../../support/temp-dir.js';

const KEYS = 300;
const KILLS = 4;
const POLL_MS = 5;
const COMPACTED = '"msg":"compacted a log"';

const cleanUp: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function dataDirectory(): Promise<string> {
  const directory = await makeTempDir();
  cleanUp.push(directory.remove);
  return directory.path;
}

async function startBroker(
  dataDir: string,
  settings: Readonly<Record<string, string>>,
): Promise<BrokerProcess> {
  const broker = await BrokerProcess.start(dataDir, [], {
    MILLRACE_CLEANER_INTERVAL_MS: '10',
    ...settings,
  });
  cleanUp.push(() => broker.kill());
  return broker;
}

function clientOf(broker: BrokerProcess): Millrace {
  const client = new Millrace({ brokers: [broker.address] });
  cleanUp.push(() => client.close());
  return client;
}

const createTable = (client: Millrace): Promise<unknown> =>
  client.admin.createTopic({
    name: 'table',
    config: {
      'cleanup.policy': 'compact',
      'segment.bytes': '65536',
      'min.cleanable.dirty.ratio': '0.1',
    },
  });

/** The last value of each key, as a reader of the whole topic comes to it. */
async function readTable(client: Millrace): Promise<Map<string, string>> {
  const table = new Map<string, string>();
  let before = -1;
  for await (const message of client.consumer({ topics: ['table'], exitAtEnd: true })) {
    expect(message.offset).toBeGreaterThan(before);
    before = message.offset;
    const key = message.key?.toString() ?? '';
    if (message.value === null) table.delete(key);
    else table.set(key, message.value.toString());
  }
  return table;
}

/** Sends `count` changes of the table, and makes them in `model` too. */
async function change(
  client: Millrace,
  model: Map<string, string>,
  count: number,
  random: () => number,
): Promise<void> {
  const producer = client.producer({ compression: 'lz4' });
  const sends: Promise<unknown>[] = [];
  for (let i = 0; i < count; i += 1) {
    const key = `k${Math.floor(random() * KEYS)}`;
    const value = random() < 0.1 ? null : Array.from({ length: 10 }, random).join(' ');
    sends.push(producer.send('table', { key, value, partition: 0 }));
    if (value === null) model.delete(key);
    else model.set(key, value);
    if (sends.length % 50 === 0) await Promise.all(sends.splice(0));
  }
  await Promise.all(sends);
  await producer.close();
}

test('a reader comes across what compaction took out', async () => {
  const random = seededRandom(testSeed());
  const broker = await startBroker(await dataDirectory(), {});
  const client = clientOf(broker);
  await createTable(client);
  const model = new Map<string, string>();
  while (!broker.log.includes(COMPACTED)) await change(client, model, 1_000, random);
  expect(await readTable(client)).toEqual(model);
});

test('a broker that is killed while it compacts has every key when it is back', async () => {
  const random = seededRandom(testSeed());
  const dataDir = await dataDirectory();
  const model = new Map<string, string>();
  let caught = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const broker = await startBroker(dataDir, {
      MILLRACE_CLEANER_BYTES_PER_SECOND: String(400 * 1024),
    });
    const client = clientOf(broker);
    if (kill === 0) await createTable(client);
    else expect(await readTable(client)).toEqual(model);
    await change(client, model, 1_500, random);
    while ((await cleanedFiles(dataDir)).length === 0) await setTimeout(POLL_MS);
    await setTimeout(random() * 50);
    if ((await cleanedFiles(dataDir)).length > 0) caught += 1;
    await client.close();
    await broker.kill();
  }
  expect(caught).toBeGreaterThan(0);
  const broker = await startBroker(dataDir, {});
  const client = clientOf(broker);
  expect(await readTable(client)).toEqual(model);
  while (!broker.log.includes(COMPACTED)) await change(client, model, 500, random);
  expect(await readTable(client)).toEqual(model);
  await client.close();
  expect(await broker.stop()).toBe(0);
});

async function cleanedFiles(dataDir: string): Promise<string[]> {
  const names = await readdir(join(dataDir, 'topics'), { recursive: true });
  return names.filter((name) => name.endsWith('.cleaned'));
}
