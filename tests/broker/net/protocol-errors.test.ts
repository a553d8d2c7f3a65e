import { describe, expect, test } from '@jest/globals';
import {
  apiVersionsApi,
  encodeFrame,
  encodeRequestFrame,
  errorTable,
  fetchApi,
  metadataApi,
  produceApi,
} from '@millrace/protocol';
import { keepingLogger } from '../support/listener.js';
import { batchOf, RawClient, until } from '../support/raw-client.js';
import { testBroker, testClient } from '../support/temporary.js';

const hello = { clientSoftware: 'test', clientVersion: '1' };

function rawFrame(header: Buffer, payload = Buffer.alloc(0)): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32BE(4 + header.length + payload.length, 0);
  prefix.writeUInt32BE(header.length, 4);
  return Buffer.concat([prefix, header, payload]);
}

const tooLong = Buffer.alloc(8);
tooLong.writeUInt32BE(0x7fff_ffff, 0);
tooLong.writeUInt32BE(16, 4);

const malformed: readonly (readonly [string, Buffer, keyof typeof errorTable])[] = [
  ['a frame longer than the bound', tooLong, 'FRAME_TOO_LARGE'],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'FRAME_TOO_LARGE'],
  ['a header that is not msgpack', rawFrame(Buffer.from([0xc1, 0, 0])), 'MALFORMED_HEADER'],
  ['a header that nests', rawFrame(Buffer.alloc(2_000, 0x91)), 'MALFORMED_HEADER'],
  [
    'a header that declares a huge array',
    rawFrame(Buffer.from([0x93, 0, 0, 0xdd, 0x7f, 0xff, 0xff, 0xff])),
    'MALFORMED_HEADER',
  ],
  ['a map in the header', rawFrame(Buffer.from([0x94, 3, 0, 1, 0x81, 1, 1])), 'MALFORMED_HEADER'],
];

describe('a connection whose bytes make no sense', () => {
  test.each(malformed)('%s: is told why, logged, and closed', async (_name, bytes, error) => {
    const { logger, lines } = keepingLogger();
    const broker = await testBroker({ logger });
    const bystander = await testClient(broker);
    const client = await testClient(broker);
    client.write(bytes);
    const frame = await client.frameOf(-1);
    expect(frame.fields[0]).toBe(errorTable[error].code);
    await client.closed;
    const line = lines.find((text) => text.includes('protocol error'));
    expect(line).toContain(error);
    expect(line).toContain('127.0.0.1:');
    await bystander.call(apiVersionsApi, hello);
  });

  test('requests before the bad one are answered', async () => {
    const client = await testClient(await testBroker());
    const good = encodeRequestFrame(apiVersionsApi, 7, hello);
    client.write(Buffer.concat([good, tooLong]));
    expect((await client.frameOf(7)).fields[0]).toBe(0);
    expect((await client.frameOf(-1)).fields[0]).toBe(errorTable.FRAME_TOO_LARGE.code);
    await client.closed;
  });

  test('a connection cut within a frame costs nobody anything', async () => {
    const broker = await testBroker();
    const client = await testClient(broker);
    client.write(encodeRequestFrame(apiVersionsApi, 1, hello).subarray(0, 11));
    client.socket.end();
    await client.closed;
    const other = await testClient(broker);
    await other.call(apiVersionsApi, hello);
  });

  test('a frame that does not end is given up', async () => {
    const client = await testClient(await testBroker({ requestTimeoutMs: 100 }));
    client.write(encodeRequestFrame(apiVersionsApi, 1, hello).subarray(0, 11));
    const frame = await client.frameOf(-1);
    expect(frame.fields[0]).toBe(errorTable.REQUEST_TIMED_OUT.code);
    await client.closed;
  });
});

describe('a request that is refused leaves the connection alone', () => {
  test.each([
    ['an unknown API', { apiKey: 999, apiVersion: 0 }, 'UNKNOWN_API'],
    ['an unknown version', { apiKey: 3, apiVersion: 99 }, 'UNSUPPORTED_VERSION'],
    ['missing fields', { apiKey: 3, apiVersion: 0 }, 'INVALID_REQUEST'],
  ] as const)('%s', async (_name, head, error) => {
    const client = await testClient(await testBroker());
    client.write(encodeFrame({ ...head, correlationId: 42 }, []));
    const frame = await client.frameOf(42);
    expect(frame.fields[0]).toBe(errorTable[error].code);
    expect(frame.fields).toHaveLength(2);
    await client.call(apiVersionsApi, hello);
  });

  test('lengths of produce rows that do not add up', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const entries = [{ topicId, partition: 0, byteLength: 10 }];
    const answer = client.call(produceApi, { acks: 1, timeoutMs: 1_000, entries }, batchOf('a'));
    await expect(answer).rejects.toMatchObject({ errorName: 'INVALID_REQUEST' });
    await client.call(apiVersionsApi, hello);
  });

  test('acks that there are not', async () => {
    const client = await testClient(await testBroker());
    client.write(encodeFrame({ apiKey: 0, apiVersion: 0, correlationId: 5 }, [2, 1_000, []]));
    const frame = await client.frameOf(5);
    expect(frame.fields[0]).toBe(errorTable.INVALID_REQUIRED_ACKS.code);
  });
});

describe('acks=0', () => {
  test('is not answered', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const batch = batchOf('a');
    const entries = [{ topicId, partition: 0, byteLength: batch.length }];
    client.post(produceApi, { acks: 0, timeoutMs: 1_000, entries }, batch);
    const { payload } = await client.call(fetchApi, {
      ...{ maxWaitMs: 10_000, minBytes: 1, maxBytes: 1_000_000 },
      entries: [{ topicId, partition: 0, offset: 0, maxBytes: 1_000_000 }],
    });
    expect(payload.length).toBe(batch.length);
    expect(client.frames).toHaveLength(0);
  });

  test('a failure closes the connection, for the client would never know', async () => {
    const client = await testClient(await testBroker());
    const batch = batchOf('a');
    const entries = [{ topicId: '0'.repeat(32), partition: 0, byteLength: batch.length }];
    client.post(produceApi, { acks: 0, timeoutMs: 1_000, entries }, batch);
    await client.closed;
    expect(client.frames).toHaveLength(0);
  });
});

test('one connection too many is told so and closed', async () => {
  const broker = await testBroker({ maxConnections: 1 });
  const first = await testClient(broker);
  await first.call(apiVersionsApi, hello);
  const second = await testClient(broker);
  const frame = await second.frameOf(-1);
  expect(frame.fields[0]).toBe(errorTable.OVERLOADED.code);
  await second.closed;
  await first.call(metadataApi, { topics: null });
  await first.close();
  await until(() => true);
  let third = await RawClient.open(broker.address);
  for (;;) {
    try {
      await third.call(apiVersionsApi, hello);
      break;
    } catch {
      third = await RawClient.open(broker.address);
    }
  }
  await third.close();
});
