import { afterEach, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { Container } from './support/container.js';

const MIB = 2 ** 20;
const TOTAL_BYTES = 1024 * MIB;
const PARTITIONS = 4;

afterEach(() => Container.removeAll());

/** Sends `count` messages of `bytes` each as fast as it can, in a client of its own. */
async function produce(address: string, bytes: number, count: number): Promise<void> {
  const client = new Millrace({ brokers: [address] });
  const producer = client.producer({ acks: 'all' });
  const value = Buffer.alloc(bytes, 'm');
  for (let i = 0; i < count; i += 1) {
    if (!producer.enqueue('load', { value, partition: i % PARTITIONS })) await producer.ready();
  }
  await producer.close();
  await client.close();
}

// Pages of the page cache that a container dirties count as its memory, and so do mapped ones.
test.each([
  { mode: 'millrace', producers: 1, bytes: 1_000 },
  { mode: 'millrace', producers: 12, bytes: MIB },
  { mode: 'kafka', producers: 12, bytes: MIB },
])('256 MiB are enough: $mode, $producers producers of $bytes bytes', async (load) => {
  const limits = ['--memory', '256m', '--memory-swap', '256m'];
  const broker = await Container.ready([...limits, '-e', `MILLRACE_MODE=${load.mode}`]);
  const address = await broker.address(7070);
  const client = new Millrace({ brokers: [address] });
  await client.admin.createTopic({ name: 'load', partitions: PARTITIONS });
  const each = Math.floor(TOTAL_BYTES / load.producers / load.bytes);
  const producers = Array.from({ length: load.producers }, () =>
    produce(address, load.bytes, each),
  );
  await Promise.all(producers);

  let count = 0;
  const consumer = client.consumer({ topics: ['load'], from: 'beginning', exitAtEnd: true });
  for await (const batch of consumer.batches()) count += [...batch].length;
  expect(count).toBe(each * load.producers);
  await client.close();
  expect(await broker.stop()).toMatchObject({ exitCode: 0, outOfMemory: false });
});
