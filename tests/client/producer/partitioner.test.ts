import { expect, test } from '@jest/globals';
import { numbers, useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();

test('keyless messages of one batch go to one partition, the next batch to another', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 4);
  const producer = client.producer();
  const rounds: Set<number>[] = [];
  for (let round = 0; round < 4; round += 1) {
    const sent = await Promise.all(numbers(20).map((value) => producer.send('t', { value })));
    rounds.push(new Set(sent.map(({ partition }) => partition)));
  }
  expect(rounds.map(({ size }) => size)).toEqual([1, 1, 1, 1]);
  expect(new Set(rounds.flatMap((round) => [...round])).size).toBe(4);
});

test('a key always goes to one partition; an explicit partition wins', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 5);
  const producer = client.producer();
  const keyed = await producer.sendBatch(
    't',
    numbers(10).map((value) => ({ key: 'foobar', value })),
  );
  expect(new Set(keyed.map(({ partition }) => partition))).toEqual(
    new Set([(-790332482 & 0x7fffffff) % 5]),
  );
  const sent = await producer.send('t', { key: 'foobar', value: 'v', partition: 2 });
  expect(sent.partition).toBe(2);
});

test('a custom partitioner is asked, and what is no partition is refused', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 3);
  const last = client.producer({ partitioner: ({ partitionCount }) => partitionCount - 1 });
  await expect(last.send('t', { value: 'v' })).resolves.toMatchObject({ partition: 2 });
  const wrong = client.producer({ partitioner: () => 7 });
  await expect(wrong.send('t', { value: 'v' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('a partition that does not exist is an error that says which do', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 3);
  const producer = client.producer();
  await expect(producer.send('t', { value: 'v', partition: 3 })).rejects.toMatchObject({
    code: 'UNKNOWN_TOPIC_OR_PARTITION',
    topic: 't',
    partition: 3,
    message: expect.stringContaining('0 to 2'),
  });
});
