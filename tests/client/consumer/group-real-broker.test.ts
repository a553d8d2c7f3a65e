import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Millrace, type GroupConsumer } from '@millrace/client';
import { numbers, until } from '../support/harness.js';
import { RealBroker } from '../support/real-broker.js';

const PARTITIONS = 6;

let broker: RealBroker;
const clients: Millrace[] = [];

beforeEach(async () => {
  broker = new RealBroker();
  await broker.start();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close().catch(() => undefined)));
  await broker.remove();
});

function connect(): Millrace {
  const client = new Millrace({ brokers: [broker.address], closeTimeoutMs: 5_000 });
  clients.push(client);
  return client;
}

/** A client of its own for each, as in processes of their own. */
function consumer(): GroupConsumer {
  return connect().consumer({ group: 'g', topics: ['t'], maxWaitMs: 50 });
}

/** Reads on and counts how often each message came, until the consumer is closed. */
async function count(from: GroupConsumer, seen: Map<string, number>): Promise<void> {
  for await (const message of from) {
    // Lets the others have their turn.
    if (message.offset % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    // Last, so that whoever sees it counted finds it handled.
    const value = message.text() ?? '';
    seen.set(value, (seen.get(value) ?? 0) + 1);
  }
}

async function produce(client: Millrace, from: number, to: number): Promise<void> {
  const producer = client.producer({ batchBytes: 1_000 });
  for (const value of numbers(to).slice(from)) {
    if (!producer.enqueue('t', { value, key: value })) await producer.ready();
  }
  await producer.close();
}

test('members that join and leave share every message, each once', async () => {
  const client = connect();
  await client.admin.createTopic({ name: 't', partitions: PARTITIONS });
  const seen = new Map<string, number>();
  const first = consumer();
  const reading = [count(first, seen)];
  await produce(client, 0, 3_000);
  await until(() => seen.size >= 1_000);
  const second = consumer();
  reading.push(count(second, seen));
  await produce(client, 3_000, 6_000);
  const half = PARTITIONS / 2;
  await until(() => second.assignment.length === half && first.assignment.length === half);
  await produce(client, 6_000, 9_000);
  await until(() => seen.size === 9_000);
  await first.close();
  await produce(client, 9_000, 12_000);
  await until(() => seen.size === 12_000);
  await second.close();
  await Promise.all(reading);
  expect([...seen.values()].every((times) => times === 1)).toBe(true);
});

test('the next run goes on at the commit', async () => {
  const client = connect();
  await client.admin.createTopic({ name: 't', partitions: 1 });
  await produce(client, 0, 100);
  const values: string[] = [];
  for (const last of ['41', '99']) {
    const run = consumer();
    for await (const message of run) {
      values.push(message.text() ?? '');
      if (values.at(-1) !== last) continue;
      await run.commit();
      break;
    }
  }
  expect(values).toEqual(numbers(100));
  const late = consumer();
  await late.start();
  expect(late.position('t', 0)).toBe(100);
  expect(await late.committed()).toMatchObject([{ topic: 't', partition: 0, offset: 100 }]);
});

test('hooks, a pattern, and a partition that is given back to its owner', async () => {
  const client = connect();
  for (const name of ['orders-a', 'orders-b', 'other']) {
    await client.admin.createTopic({ name, partitions: 2 });
    await client.producer().send(name, { value: name });
  }
  const options = { group: 'g', topics: /^orders-/ };
  const first = client.consumer(options);
  const told: string[] = [];
  first.on('assigned', (partitions) => told.push(`+${partitions.length}`));
  first.on('revoked', (partitions) => told.push(`-${partitions.length}`));
  await first.start();
  expect(new Set(first.assignment.map(({ topic }) => topic))).toEqual(
    new Set(['orders-a', 'orders-b']),
  );
  const second = connect().consumer(options);
  await second.start();
  await until(() => second.assignment.length === 2);
  await second.close();
  await until(() => first.assignment.length === 4);
  await first.close();
  expect(told).toEqual(['+4', '-2', '+2', '-4']);
});
