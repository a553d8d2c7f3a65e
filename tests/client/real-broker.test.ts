import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Millrace, OffsetOutOfRangeError, TopicRecreatedError } from '@millrace/client';
import { numbers, rejectionOf, valuesOf } from './support/harness.js';
import { RealBroker } from './support/real-broker.js';
import { run } from './cli/command.js';

let broker: RealBroker;
let client: Millrace;

beforeEach(async () => {
  broker = new RealBroker();
  await broker.start();
  client = new Millrace({ brokers: [broker.address], closeTimeoutMs: 1_000 });
});

afterEach(async () => {
  await client.close().catch(() => undefined);
  await broker.remove();
});

test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
  'messages with keys and headers go through in %s',
  async (compression) => {
    await client.admin.createTopic({ name: 't', partitions: 3 });
    const producer = client.producer({ compression });
    for (const value of numbers(10_000)) {
      const message = { key: `key ${value}`, value, headers: { h: value } };
      if (!producer.enqueue('t', message)) await producer.ready();
    }
    await producer.flush();
    const seen = new Set<string>();
    for await (const message of client.consumer({ topics: ['t'], exitAtEnd: true })) {
      const value = message.text() ?? '';
      if (message.key?.toString() !== `key ${value}`) throw new Error(`Wrong key of ${value}`);
      if (message.headers['h']?.toString() !== value) throw new Error(`Wrong header of ${value}`);
      seen.add(value);
    }
    expect(seen.size).toBe(10_000);
  },
);

test.each(['all', 1] as const)(
  'kill -9 in the middle of production with acks %s loses, doubles and reorders nothing',
  async (acks) => {
    const total = 60_000;
    await client.admin.createTopic({ name: 't' });
    const producer = client.producer({ acks, batchBytes: 8_192 });
    let killed: Promise<void> | undefined;
    for (const value of numbers(total)) {
      if (!producer.enqueue('t', { value: value.padEnd(50) })) await producer.ready();
      if (value === '30000') {
        await producer.send('t', { value: 'acknowledged' });
        killed = broker.kill().then(() => broker.start());
      }
    }
    await killed;
    await producer.flush();
    const expected = numbers(total);
    expected.splice(30_001, 0, 'acknowledged');
    const values = (await valuesOf(client, 't')).map((value) => value.trimEnd());
    expect(values.length).toBe(total + 1);
    expect(values).toEqual(expected);
  },
);

test('a consumer goes on over a kill -9 without loss or duplicates', async () => {
  await client.admin.createTopic({ name: 't' });
  const producer = client.producer({ batchBytes: 2_000 });
  for (const value of numbers(20_000)) {
    if (!producer.enqueue('t', { value })) await producer.ready();
  }
  await producer.flush();
  const values: string[] = [];
  const options = { topics: ['t'], exitAtEnd: true, maxBytes: 10_000, prefetchBytes: 20_000 };
  for await (const message of client.consumer(options)) {
    values.push(message.text() ?? '');
    if (values.length === 5_000) {
      await broker.kill();
      await broker.start();
    }
  }
  expect(values).toEqual(numbers(20_000));
});

test('offsets, times, ranges and topics made anew', async () => {
  const { admin } = client;
  await admin.createTopic({ name: 't', config: { 'segment.bytes': 1_048_576 } });
  const producer = client.producer();
  const startMs = Date.now() - 100_000;
  for (const value of numbers(100)) {
    await producer.send('t', { value, timestampMs: startMs + Number(value) * 1_000 });
  }
  expect(await admin.offsets('t')).toEqual([{ partition: 0, beginning: 0, end: 100 }]);
  expect(await admin.listOffsets('t', { timestampMs: startMs + 41_500 })).toMatchObject([
    { offset: 42 },
  ]);
  const described = await admin.describeTopic('t');
  expect(described.config).toContainEqual({
    key: 'segment.bytes',
    value: '1048576',
    source: 'topic',
  });
  const tooFar = client.consumer({ topics: ['t'], from: { offset: 101 } });
  const error = await rejectionOf(tooFar[Symbol.asyncIterator]().next());
  expect(error).toBeInstanceOf(OffsetOutOfRangeError);
  expect(error).toMatchObject({ beginningOffset: 0, endOffset: 100 });
  const reading = (async () => {
    // With more than half of that waiting to be handled, nothing asks for the topic while there is none.
    for await (const { offset } of client.consumer({ topics: ['t'], prefetchBytes: 1_000 })) {
      if (offset !== 0) continue;
      await admin.deleteTopic('t');
      await admin.createTopic({ name: 't' });
    }
  })();
  expect(await rejectionOf(reading)).toBeInstanceOf(TopicRecreatedError);
  await expect(producer.send('t', { value: 'new' })).resolves.toMatchObject({ offset: 0 });
});

test('a batch larger than the topic accepts is halved; one such message is refused', async () => {
  await client.admin.createTopic({ name: 't', config: { 'max.message.bytes': 4_096 } });
  const producer = client.producer();
  const values = numbers(300).map((value) => value.padEnd(100, '.'));
  await producer.sendBatch(
    't',
    values.map((value) => ({ value })),
  );
  expect(await valuesOf(client, 't')).toEqual(values);
  await expect(producer.send('t', { value: 'x'.repeat(5_000) })).rejects.toMatchObject({
    code: 'MESSAGE_TOO_LARGE',
  });
});

test('a refusal names the topic once, and not more of it than can be read', async () => {
  await client.admin.createTopic({ name: 'orders' });
  for (const name of ['orders', '..', 'x'.repeat(5_000)]) {
    const error = (await rejectionOf(client.admin.createTopic({ name }))) as Error;
    expect(error.message.length).toBeLessThan(300);
    expect(error.message.match(/topic "?(orders|xxx)/g) ?? []).toHaveLength(name === '..' ? 0 : 1);
    expect(error.message).toMatch(/exists already|1 to 249/);
    expect(error).toMatchObject({ topic: name, broker: broker.address });
  }
  const config = { 'no.such.key': 1 };
  const other = (await rejectionOf(client.admin.createTopic({ name: 't', config }))) as Error;
  expect(other.message).toMatch(/^create topic "t": .*no\.such\.key/);
});

test('the command talks to it', async () => {
  const env = { MILLRACE_BROKER: broker.address };
  const input = numbers(1_000).join('\n');
  expect(await run(['topic', 'create', 'cli', '-p', '2'], { env })).toMatchObject({ code: 0 });
  expect(await run(['produce', 'cli', '-k', '5'], { env, input })).toMatchObject({ code: 0 });
  const { stdout } = await run(['consume', 'cli', '-e', '-F', '%k\\n'], { env });
  expect(stdout.toString().split('\n')).toHaveLength(1_001);
});
