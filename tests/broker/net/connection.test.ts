import { describe, expect, test } from '@jest/globals';
import {
  apiVersionsApi,
  DEFAULT_FRAME_LIMITS,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  produceApi,
  readBatches,
} from '@millrace/protocol';
import type { FetchRequest } from '@millrace/protocol';
import { batchOf, until } from '../support/raw-client.js';
import { GatedProtocol, requestOf, testListener } from '../support/listener.js';
import type { RawClient } from '../support/raw-client.js';
import { testBroker, testClient } from '../support/temporary.js';

const hello = { clientSoftware: 'test', clientVersion: '1' };
const MiB = 2 ** 20;

function fetchOf(topicId: string, offset: number, more: Partial<FetchRequest> = {}): FetchRequest {
  return {
    ...{ maxWaitMs: 0, minBytes: 1, maxBytes: MiB },
    entries: [{ topicId, partition: 0, offset, maxBytes: MiB }],
    ...more,
  };
}

async function send(client: RawClient, topicId: string, batch: Buffer): Promise<number> {
  const entries = [{ topicId, partition: 0, byteLength: batch.length }];
  const request = { acks: 1, timeoutMs: 10_000, entries } as const;
  const { response } = await client.call(produceApi, request, batch);
  const [entry] = response.entries;
  if (entry?.errorCode !== 0) throw new Error(entry?.errorMessage ?? 'no row');
  return entry.baseOffset;
}

function valuesOf(payload: Buffer): string[] {
  const values: string[] = [];
  for (const batch of readBatches(payload)) {
    for (const record of batch) values.push(String(record.value));
  }
  return values;
}

describe('pipelined requests', () => {
  test('reach the log in the order in which they were sent', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const ids: number[] = [];
    const values = Array.from({ length: 300 }, (_, index) => `value ${index}`);
    for (const [index, value] of values.entries()) {
      const batch = batchOf(value);
      const entries = [{ topicId, partition: 0, byteLength: batch.length }];
      const acks = index % 2 === 0 ? 1 : -1;
      ids.push(client.post(produceApi, { acks, timeoutMs: 10_000, entries }, batch));
    }
    for (const [index, id] of ids.entries()) {
      const { response } = await client.answerTo(produceApi, id);
      expect(response.entries[0]).toMatchObject({ errorCode: 0, baseOffset: index });
    }
    const { payload } = await client.call(fetchApi, fetchOf(topicId, 0));
    expect(valuesOf(payload)).toEqual(values);
  });

  test('are overtaken by others while one waits', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const poll = client.post(fetchApi, fetchOf(topicId, 0, { maxWaitMs: 30_000 }));
    await client.call(metadataApi, { topics: null });
    await client.call(listOffsetsApi, { entries: [{ topicId, partition: 0, timestampMs: -1 }] });
    expect(client.frames).toHaveLength(0);
    await send(client, topicId, batchOf('a'));
    const { payload } = await client.answerTo(fetchApi, poll);
    expect(valuesOf(payload)).toEqual(['a']);
  });

  test('beyond the bound wait their turn and are all answered', async () => {
    const client = await testClient(await testBroker({ maxInFlightRequestsPerConnection: 2 }));
    const ids = Array.from({ length: 500 }, () => client.post(apiVersionsApi, hello));
    for (const id of ids) await client.answerTo(apiVersionsApi, id);
  });

  test('beyond the bound are answered once each and in order, whether they wait or not', async () => {
    const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
    const limits = { maxInFlightRequestsPerConnection: 2 };
    const { listener, client } = await testListener(protocol, { limits });
    const sender = await client();
    const ids = Array.from({ length: 500 }, (_, index) => index);
    sender.write(Buffer.concat(ids.map((id) => requestOf(id, id % 7))));
    await until(() => sender.frames.length >= 500);
    expect(sender.frames.map(({ correlationId }) => correlationId)).toEqual(ids);
    protocol.gate = new Promise((resolve) => setImmediate(resolve));
    sender.write(Buffer.concat(ids.map((id) => requestOf(500 + id, id % 7))));
    await until(() => protocol.served > 500);
    // What came with the bytes that were read is answered before the end.
    await listener.close(10_000);
    await sender.closed;
    const late = sender.frames.slice(500).map(({ correlationId }) => correlationId);
    expect(late.sort((a, b) => a - b)).toEqual(ids.map((id) => 500 + id));
    expect(protocol.served).toBe(1_000);
    expect(listener.requestMemoryBytes).toBe(0);
  });

  test('of one produce request fail row by row', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t', 2);
    const good = batchOf('a');
    const bad = Buffer.from(good);
    bad[bad.length - 1] = (bad[bad.length - 1] ?? 0) ^ 1;
    const row = { topicId, byteLength: good.length };
    const { response } = await client.call(
      produceApi,
      {
        ...{ acks: -1, timeoutMs: 10_000 },
        entries: [
          { ...row, partition: 0 },
          { ...row, partition: 1 },
          { ...row, partition: 7 },
        ],
      },
      Buffer.concat([good, bad, good]),
    );
    expect(response.entries.map(({ errorCode }) => errorCode)).toEqual([0, 2, 3]);
  });
});

describe('a long poll', () => {
  test('ends without data when its time is over', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const { response, payload } = await client.call(
      fetchApi,
      fetchOf(topicId, 0, { maxWaitMs: 20 }),
    );
    expect(payload).toHaveLength(0);
    expect(response.entries[0]).toMatchObject({ errorCode: 0, highWatermark: 0, byteLength: 0 });
  });

  test('waits for minBytes over several appends', async () => {
    const broker = await testBroker();
    const client = await testClient(broker);
    const producer = await testClient(broker);
    const topicId = await client.createTopic('t');
    const batch = batchOf('x'.repeat(1_000));
    const minBytes = batch.length * 3;
    const poll = client.post(fetchApi, fetchOf(topicId, 0, { maxWaitMs: 30_000, minBytes }));
    await client.call(apiVersionsApi, hello);
    await send(producer, topicId, batch);
    await send(producer, topicId, batch);
    await client.call(apiVersionsApi, hello);
    expect(client.frames).toHaveLength(0);
    await send(producer, topicId, batch);
    const { payload } = await client.answerTo(fetchApi, poll);
    expect(payload).toHaveLength(minBytes);
  });

  test('ends at once with an error when its topic is deleted', async () => {
    const broker = await testBroker();
    const client = await testClient(broker);
    const topicId = await client.createTopic('t');
    const poll = client.post(fetchApi, fetchOf(topicId, 0, { maxWaitMs: 30_000, minBytes: 1_000 }));
    await client.call(apiVersionsApi, hello);
    const { deleteTopicsApi } = await import('@millrace/protocol');
    await client.call(deleteTopicsApi, { names: ['t'], timeoutMs: 1_000 });
    const { response } = await client.answerTo(fetchApi, poll);
    expect(response.entries[0]?.errorCode).not.toBe(0);
  });

  test('of a client that is gone leaves nothing behind', async () => {
    const broker = await testBroker();
    const client = await testClient(broker);
    const topicId = await client.createTopic('t');
    client.post(fetchApi, fetchOf(topicId, 0, { maxWaitMs: 60_000 }));
    await client.call(apiVersionsApi, hello);
    await client.close();
    // A wait that were left would hold up the close for its drain timeout.
    const started = performance.now();
    await broker.close();
    expect(performance.now() - started).toBeLessThan(broker.config.drainTimeoutMs);
  });
});

describe('a reader that does not read', () => {
  test('costs its own connection, nobody else', async () => {
    const broker = await testBroker({ maxOutboundBytesPerConnection: 4 * MiB });
    const slow = await testClient(broker);
    const other = await testClient(broker);
    const topicId = await slow.createTopic('t');
    const batch = batchOf(Buffer.alloc(MiB - 200, 'x'));
    await send(slow, topicId, batch);
    slow.socket.pause();
    const request = fetchOf(topicId, 0, { maxBytes: 2 * MiB });
    const ids = Array.from({ length: 64 }, () => slow.post(fetchApi, request));
    for (let round = 0; round < 20; round += 1) {
      const { payload } = await other.call(fetchApi, request);
      expect(payload.equals(Buffer.concat([payload]))).toBe(true);
      expect(payload).toHaveLength(batch.length);
    }
    expect(slow.frames).toHaveLength(0);
    slow.socket.resume();
    for (const id of ids) {
      const { payload } = await slow.answerTo(fetchApi, id);
      expect(payload).toHaveLength(batch.length);
    }
  });

  test('that vanishes is closed and its regions are released', async () => {
    const broker = await testBroker();
    const slow = await testClient(broker);
    const topicId = await slow.createTopic('t');
    await send(slow, topicId, batchOf(Buffer.alloc(MiB - 200, 'x')));
    slow.socket.pause();
    for (let round = 0; round < 32; round += 1) slow.post(fetchApi, fetchOf(topicId, 0));
    const other = await testClient(broker);
    await other.call(apiVersionsApi, hello);
    slow.socket.resetAndDestroy();
    await slow.closed;
    await other.call(fetchApi, fetchOf(topicId, 0));
  });
});

describe('an orderly end', () => {
  test('of the client: what is in flight is answered before the connection ends', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const ids = Array.from({ length: 20 }, () => {
      const batch = batchOf('a');
      const entries = [{ topicId, partition: 0, byteLength: batch.length }];
      return client.post(produceApi, { acks: -1, timeoutMs: 10_000, entries }, batch);
    });
    client.socket.end();
    await client.closed;
    expect(client.frames.map(({ correlationId }) => correlationId)).toEqual(ids);
  });

  test('of the broker: long polls are answered, new connections are not taken', async () => {
    const broker = await testBroker();
    const client = await testClient(broker);
    const topicId = await client.createTopic('t');
    const poll = client.post(fetchApi, fetchOf(topicId, 0, { maxWaitMs: 60_000 }));
    await client.call(apiVersionsApi, hello);
    const closing = broker.close();
    const { payload } = await client.answerTo(fetchApi, poll);
    expect(payload).toHaveLength(0);
    await client.closed;
    await closing;
    await expect(testClient(broker)).rejects.toThrow('ECONNREFUSED');
    await broker.close();
  });

  test('of the broker: what was acknowledged is there after the next start', async () => {
    const first = await testBroker();
    const client = await testClient(first);
    const topicId = await client.createTopic('t');
    await send(client, topicId, batchOf('a', 'b'));
    await first.close();
    const second = await testBroker({ dataDir: first.config.dataDir });
    const again = await testClient(second);
    expect(second.clusterId).toBe(first.clusterId);
    const { payload } = await again.call(fetchApi, fetchOf(topicId, 0));
    expect(valuesOf(payload)).toEqual(['a', 'b']);
  });
});

test('several brokers run in one process', async () => {
  const brokers = await Promise.all([testBroker(), testBroker(), testBroker()]);
  const ids = await Promise.all(
    brokers.map(async (broker) => {
      const client = await testClient(broker);
      const { response } = await client.call(apiVersionsApi, hello);
      return response.clusterId;
    }),
  );
  expect(new Set(ids)).toEqual(new Set(brokers.map(({ clusterId }) => clusterId)));
  expect(new Set(ids).size).toBe(3);
  await until(() => true);
});
