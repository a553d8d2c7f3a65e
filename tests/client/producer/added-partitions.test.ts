import { afterEach, expect, test } from '@jest/globals';
import { startBroker } from '@millrace/broker';
import { Millrace } from '@millrace/client';
import { makeTempDir } from '../../support/temp-dir.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('a running producer sends to partitions that were added', async () => {
  const { path, remove } = await makeTempDir();
  cleanups.push(remove);
  const broker = await startBroker({ dataDir: path, listen: '127.0.0.1:0' });
  cleanups.push(() => broker.close());
  const client = new Millrace({ brokers: [broker.address] });
  cleanups.push(() => client.close());
  await client.admin.createTopic({ name: 'growing', partitions: 1 });
  const producer = client.producer();
  await producer.send('growing', { value: 'first', partition: 0 });
  await client.admin.createPartitions('growing', 3);
  await expect(producer.send('growing', { value: 'x', partition: 2 })).resolves.toMatchObject({
    partition: 2,
    offset: 0,
  });
  const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`);
  const sent = await Promise.all(keys.map((key) => producer.send('growing', { key, value: key })));
  expect(new Set(sent.map(({ partition }) => partition))).toEqual(new Set([0, 1, 2]));
});
