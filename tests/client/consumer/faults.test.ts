import { expect, test } from '@jest/globals';
import {
  CorruptMessageError,
  OffsetOutOfRangeError,
  TopicRecreatedError,
  UnknownTopicError,
} from '@millrace/client';
import { numbers, onNth, rejectionOf, until, useFakeBroker, valuesOf } from '../support/harness.js';

const harness = useFakeBroker();

async function fill(count: number, batchBytes = 500): Promise<void> {
  const producer = harness().client.producer({ batchBytes });
  for (const value of numbers(count)) {
    if (!producer.enqueue('t', { value })) await producer.ready();
  }
  await producer.flush();
}

test.each([
  ['cut', { kind: 'cut' }],
  ['cut after reading', { kind: 'cut-after' }],
  ['refused', { kind: 'error', name: 'OVERLOADED' }],
] as const)('fetches that are %s are repeated without loss or duplicates', async (_, fault) => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await fill(2_000);
  broker.intercept = onNth('fetch', [1, 3, 4], fault);
  const values: string[] = [];
  const options = { topics: ['t'], maxBytes: 2_000, exitAtEnd: true };
  for await (const message of client.consumer(options)) values.push(message.text() ?? '');
  expect(values).toEqual(numbers(2_000));
});

test('a lost response times out and is fetched again', async () => {
  const { broker, connect } = harness();
  broker.createTopic('t');
  await fill(10);
  broker.intercept = onNth('fetch', [1], { kind: 'lose-response' });
  expect(await valuesOf(connect({ requestTimeoutMs: 100 }), 't')).toEqual(numbers(10));
});

test('a restart of the broker in the middle is survived without loss or duplicates', async () => {
  const { broker, client, events } = harness();
  broker.createTopic('t');
  await fill(3_000);
  const values: string[] = [];
  const options = { topics: ['t'], maxBytes: 2_000, prefetchBytes: 4_000, exitAtEnd: true };
  for await (const message of client.consumer(options)) {
    values.push(message.text() ?? '');
    if (values.length === 1_000) {
      await broker.stop();
      await until(() => events.some((event) => event.type === 'retry'));
      await broker.listen();
    }
  }
  expect(values).toEqual(numbers(3_000));
});

test('an offset out of range is an error that names the range, or goes on as told', async () => {
  const { broker, client } = harness();
  const topic = broker.createTopic('t');
  await fill(10);
  const read = (onOutOfRange: 'fail' | 'beginning' | 'end'): Promise<number> =>
    (async () => {
      const options = { topics: ['t'], from: { offset: 500 }, exitAtEnd: true, onOutOfRange };
      let count = 0;
      for await (const message of client.consumer(options)) count += message.partition + 1;
      return count;
    })();
  const error = await rejectionOf(read('fail'));
  expect(error).toBeInstanceOf(OffsetOutOfRangeError);
  expect(error).toMatchObject({ topic: 't', partition: 0, offset: 500 });
  expect(error).toMatchObject({ beginningOffset: 0, endOffset: 10 });
  expect(await read('beginning')).toBe(10);
  expect(await read('end')).toBe(0);
  expect(topic.partitions[0]?.endOffset).toBe(10);
});

test('damage is an error with topic, partition and offset, after all that came before it', async () => {
  const { broker, client } = harness();
  const topic = broker.createTopic('t');
  const producer = client.producer();
  for (const value of numbers(3)) await producer.send('t', { value });
  const damaged = topic.partitions[0]?.batches[2]?.bytes;
  if (damaged === undefined) throw new Error('No third batch');
  // The last byte is the header count; the one before it is the value.
  damaged.write('X', damaged.length - 2);
  const values: string[] = [];
  const reading = (async () => {
    for await (const message of client.consumer({ topics: ['t'] })) {
      values.push(message.text() ?? '');
    }
  })();
  const error = await rejectionOf(reading);
  expect(error).toBeInstanceOf(CorruptMessageError);
  expect(error).toMatchObject({ topic: 't', partition: 0, offset: 2 });
  expect(values).toEqual(['0', '1']);
  const unchecked: number[] = [];
  const options = { topics: ['t'], checkCrc: false, exitAtEnd: true };
  for await (const { offset } of client.consumer(options)) unchecked.push(offset);
  expect(unchecked).toEqual([0, 1, 2]);
});

test('a batch with senseless lengths is an error and no endless loop', async () => {
  const { broker, client } = harness();
  const topic = broker.createTopic('t');
  await client.producer().send('t', { value: 'v' });
  topic.partitions[0]?.batches[0]?.bytes.writeInt32BE(-1, 8);
  const error = await rejectionOf(valuesOf(client, 't'));
  expect(error).toBeInstanceOf(CorruptMessageError);
  expect(error).toMatchObject({ topic: 't', partition: 0 });
});

test('a deleted topic and one made anew are errors of their own', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await fill(3);
  const readOn = (act: () => void): Promise<void> =>
    (async () => {
      for await (const { offset } of client.consumer({ topics: ['t'], maxWaitMs: 20 })) {
        if (offset === 2) act();
      }
    })();
  expect(await rejectionOf(readOn(() => broker.createTopic('t')))).toBeInstanceOf(
    TopicRecreatedError,
  );
  await fill(3);
  expect(await rejectionOf(readOn(() => broker.topics.delete('t')))).toBeInstanceOf(
    UnknownTopicError,
  );
});

test('an unknown topic is an error at the start', async () => {
  expect(await rejectionOf(valuesOf(harness().client, 'nope'))).toBeInstanceOf(UnknownTopicError);
});
