import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Millrace } from '@millrace/client';
import { FakeBroker } from './support/fake-broker.js';

let broker: FakeBroker;
let client: Millrace;

beforeEach(async () => {
  broker = await FakeBroker.start();
  client = new Millrace({ brokers: [broker.address], clientId: 'test' });
});

afterEach(async () => {
  await client.close();
  await broker.stop();
});

test('a message goes in and comes out with everything that it has', async () => {
  await client.admin.createTopic({ name: 'orders', partitions: 2 });
  const producer = client.producer();
  const sent = await producer.send('orders', {
    key: 'k1',
    value: Buffer.from([0, 1, 0xff]),
    headers: { a: 'b', empty: null },
    timestampMs: 1_700_000_000_000,
  });
  expect(sent).toMatchObject({ topic: 'orders', offset: 0 });
  const received = [];
  for await (const message of client.consumer({ topics: ['orders'], exitAtEnd: true })) {
    received.push(message);
  }
  expect(received).toHaveLength(1);
  const [message] = received;
  expect(message).toMatchObject({
    topic: 'orders',
    partition: sent.partition,
    offset: 0,
    timestampMs: 1_700_000_000_000,
  });
  expect(message?.key?.toString()).toBe('k1');
  expect(message?.value).toEqual(Buffer.from([0, 1, 0xff]));
  expect(message?.headers['a']?.toString()).toBe('b');
  expect(message?.headers['empty']).toBeNull();
});

test('100,000 enqueued messages come out once each, in order per partition', async () => {
  const count = 100_000;
  await client.admin.createTopic({ name: 'many', partitions: 3 });
  const producer = client.producer({ acks: 1 });
  for (let index = 0; index < count; index += 1) {
    const message = { value: String(index), partition: index % 3 };
    if (!producer.enqueue('many', message)) await producer.ready();
  }
  await producer.flush();
  expect(producer.bufferedBytes).toBe(0);
  const next = [0, 1, 2];
  const disorder: number[] = [];
  let seen = 0;
  for await (const batch of client.consumer({ topics: ['many'], exitAtEnd: true }).batches()) {
    for (const message of batch) {
      if (Number(message.text()) !== next[batch.partition]) disorder.push(message.offset);
      next[batch.partition] = (next[batch.partition] ?? 0) + 3;
      seen += 1;
    }
  }
  expect(disorder).toEqual([]);
  expect(seen).toBe(count);
});
