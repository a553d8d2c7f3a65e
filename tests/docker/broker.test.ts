import { afterEach, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { until } from '../e2e/support/reader.js';
import { Container, makeNetwork, makeVolume } from './support/container.js';
import { numbered, produceAll, readAll } from './support/messages.js';

const clients = new Set<Millrace>();

afterEach(async () => {
  for (const client of clients) await client.close();
  clients.clear();
  await Container.removeAll();
});

async function connect(broker: Container): Promise<Millrace> {
  const client = new Millrace({ brokers: [await broker.address(7070)] });
  clients.add(client);
  return client;
}

/** What a consumer group reads of a topic, until it has `count` values. */
async function readInGroup(client: Millrace, topic: string, count: number): Promise<string[]> {
  const values: string[] = [];
  for await (const message of client.consumer({ group: 'host', topics: [topic] })) {
    values.push(message.text() ?? '');
    if (values.length === count) break;
  }
  return values;
}

test('one address inside and another outside, both right, in a group as well', async () => {
  const network = await makeNetwork();
  const onNetwork = ['--network', network];
  const broker = await Container.ready([...onNetwork, '--network-alias', 'broker']);
  const outside = await connect(broker);
  await outside.admin.createTopic({ name: 'orders', partitions: 1 });
  await produceAll(outside, 'orders', ['from the host']);

  const inside = [...onNetwork, '-e', 'MILLRACE_BROKER=broker:7070'];
  const produced = await Container.once(
    inside,
    ['millrace', 'produce', 'orders'],
    'from a container\n',
  );
  expect(produced).toMatchObject({ status: 0 });
  const consume = ['millrace', 'consume', 'orders', '--from', 'beginning', '--max-messages', '2'];
  const consumed = await Container.once(inside, [...consume, '--group', 'container']);
  expect(consumed).toMatchObject({ status: 0, stdout: 'from the host\nfrom a container\n' });

  expect(await readAll(outside, 'orders')).toEqual(['from the host', 'from a container']);
  expect(await readInGroup(outside, 'orders', 2)).toEqual(['from the host', 'from a container']);
});

test('the command line works in the container of the broker', async () => {
  const broker = await Container.ready();
  expect(await broker.exec(['millrace', 'topic', 'create', 'orders'])).toMatchObject({ status: 0 });
  const produced = await broker.exec(['millrace', 'produce', 'orders'], 'one\ntwo\n');
  expect(produced).toMatchObject({ status: 0 });
  const consume = ['millrace', 'consume', 'orders', '--from', 'beginning', '--exit-at-end'];
  expect(await broker.exec(consume)).toMatchObject({ status: 0, stdout: 'one\ntwo\n' });
  expect(await broker.stop()).toMatchObject({ exitCode: 0 });
  const verified = await Container.once(
    ['--volumes-from', broker.id],
    ['millrace-broker', 'verify', '/data'],
  );
  expect(verified).toMatchObject({ status: 0 });
});

test('the health check turns healthy, and unhealthy when nothing answers', async () => {
  const quick = ['--health-interval', '1s', '--health-retries', '1', '--health-start-period', '1s'];
  const broker = await Container.ready(quick);
  const health = (): Promise<string> => broker.inspect('{{.State.Health.Status}}');
  await until(async () => (await health()) === 'healthy');
  const said = '{{range .State.Health.Log}}{{.Output}}{{end}}';
  expect(await broker.inspect(said)).toMatch(/^ready$/m);

  const silent = await Container.start(quick, ['sleep', '600']);
  await until(async () => (await silent.inspect('{{.State.Health.Status}}')) === 'unhealthy');
  expect(await silent.inspect(said)).toContain('nothing listens at 127.0.0.1:7071');
});

test('a container that takes the place of another finds the data and serves on', async () => {
  const volume = await makeVolume();
  const flags = ['-v', `${volume}:/data`];
  const values = numbered(20_000);
  const first = await Container.ready(flags);
  const client = await connect(first);
  await client.admin.createTopic({ name: 'orders', partitions: 1 });
  await produceAll(client, 'orders', values);
  expect(await first.stop()).toMatchObject({ exitCode: 0 });
  await first.remove();

  const second = await Container.ready([...flags, '-e', 'MILLRACE_MODE=kafka']);
  const again = await connect(second);
  expect(await readAll(again, 'orders')).toEqual(values);
  await produceAll(again, 'orders', ['more']);
  await second.remove(); // As a crash: killed at once.

  const third = await Container.ready(flags);
  expect(await readAll(await connect(third), 'orders')).toEqual([...values, 'more']);
});

test('SIGTERM under load: exit 0 before docker kills, and what was acknowledged is kept', async () => {
  const volume = await makeVolume();
  const broker = await Container.ready(['-v', `${volume}:/data`]);
  const client = await connect(broker);
  await client.admin.createTopic({ name: 'ledger', partitions: 1 });
  // A reader at the end, whose long poll must hold up nothing.
  const reader = client.consumer({ topics: ['ledger'], from: 'end' });
  const received: number[] = [];
  const reading = (async () => {
    for await (const message of reader) received.push(message.offset);
  })();

  const acknowledged: string[] = [];
  const stopping = { asked: false };
  const producing = (async () => {
    const producer = client.producer({ acks: 'all', deliveryTimeoutMs: 2_000 });
    for (let i = 0; ; i += 1) {
      try {
        await producer.send('ledger', { value: String(i), partition: 0 });
        acknowledged.push(String(i));
      } catch (error) {
        if (stopping.asked) return;
        throw error;
      }
    }
  })();
  await until(() => acknowledged.length > 500);
  stopping.asked = true;
  const stopped = await broker.stop();
  await producing;
  expect(stopped).toMatchObject({ exitCode: 0, outOfMemory: false });
  expect((await broker.logs()).stdout).toContain('"msg":"stopped"');
  await reader.close();
  await reading;
  expect(received.length).toBeGreaterThan(0);

  const next = await Container.ready(['-v', `${volume}:/data`]);
  const kept = await readAll(await connect(next), 'ledger');
  expect(kept.slice(0, acknowledged.length)).toEqual(acknowledged);
});
