import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { DEFAULT_FRAME_LIMITS, produceApi } from '@millrace/protocol';
import { BrokerCounters } from '../../../broker/src/counters.js';
import { createHandlers } from '../../../broker/src/handlers/dispatch-table.js';
import type { HandlerServices } from '../../../broker/src/handlers/services.js';
import { endInOrder } from '../../../broker/src/net/orderly-end.js';
import { SendStall } from '../../../broker/src/net/send-stall.js';
import { NativeProtocol } from '../../../broker/src/wire/native-protocol.js';
import { GatedProtocol, keepingLogger, requestOf, testListener } from '../support/listener.js';
import { batchOf, until } from '../support/raw-client.js';
import { afterTest } from '../support/temporary.js';

const MiB = 2 ** 20;
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a client that takes nothing of its answers', () => {
  test.each(['native', 'node'] as const)(
    'is cut in time, and the log says so (%s)',
    async (outlet) => {
      const { logger, lines } = keepingLogger();
      const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
      protocol.body = Array.from({ length: 32 }, () => Buffer.alloc(MiB));
      const { listener, client } = await testListener(protocol, { logger, outlet });
      const idle = await client();
      const stalled = await client();
      const { localPort } = stalled.socket;
      stalled.socket.pause();
      stalled.write(requestOf(1, 0));
      await until(() => protocol.served === 1);
      for (let nowMs = performance.now(); lines.length === 0; nowMs += 30_000) {
        listener.expire(nowMs);
        await nextTurn();
      }
      expect(lines.join('')).toContain('sendStallTimeoutMs');
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({
        client: `127.0.0.1:${localPort}`,
        queuedBytes: expect.any(Number),
        sendStallTimeoutMs: 60_000,
      });
      stalled.socket.resume();
      await stalled.closed;
      protocol.body = [];
      idle.write(requestOf(2, 0));
      await idle.frameOf(2);
    },
  );

  test('is one that takes nothing at all, and for as long as something waits', () => {
    const queue = { bytes: 100, sentBytes: 0, waitsForClient: true };
    const outlet = { pendingBytes: 0, pendingMark: 0 };
    const stall = new SendStall(queue, outlet, 1_000);
    expect([0, 1_000].map((nowMs) => stall.isOver(nowMs))).toEqual([false, false]);
    queue.sentBytes += 1;
    expect([1_001, 2_001].map((nowMs) => stall.isOver(nowMs))).toEqual([false, false]);
    expect(stall.isOver(2_002)).toBe(true);
    queue.waitsForClient = false;
    expect(stall.isOver(9_000)).toBe(false);
    outlet.pendingBytes = 50;
    expect([9_001, 10_001].map((nowMs) => stall.isOver(nowMs))).toEqual([false, false]);
    outlet.pendingMark -= 1;
    expect([10_002, 11_002, 11_003].map((nowMs) => stall.isOver(nowMs))).toEqual([
      ...[false, false, true],
    ]);
    outlet.pendingBytes = 0;
    expect(stall.isOver(99_000)).toBe(false);
  });
});

test('an orderly end waits for what the client has not yet taken', async () => {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  afterTest(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  afterTest(() => void client.destroy());
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const bytes = 32 * MiB;
  client.pause();
  accepted.write(Buffer.alloc(bytes));
  endInOrder(accepted, 0);
  for (let turn = 0; turn < 200; turn += 1) await nextTurn();
  expect(accepted.destroyed).toBe(false);
  let received = 0;
  client.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  client.resume();
  await once(client, 'end');
  expect(received).toBe(bytes);
  await until(() => accepted.destroyed);
});

test('a request with acks=0 that is not done in time ends the connection without a frame', async () => {
  const { logger, lines } = keepingLogger();
  const partition = { appendAtOnce: () => new Promise(() => undefined) };
  const topic = { name: 't', partitions: [partition] };
  const counters = new BrokerCounters();
  const services = {
    storage: { topics: { byId: () => topic }, disk: { require: () => undefined } },
    ...{ config: {}, counters, logger },
  } as unknown as HandlerServices;
  const handlers = createHandlers(services);
  const frameLimits = DEFAULT_FRAME_LIMITS;
  const protocol = new NativeProtocol({ handlers, frameLimits, counters, logger });
  const { listener, client } = await testListener(protocol, { logger });
  const one = await client();
  const batch = batchOf('a');
  const entries = [{ topicId: 'a'.repeat(32), partition: 0, byteLength: batch.length }];
  one.post(produceApi, { acks: 0, timeoutMs: 10_000, entries }, batch);
  await until(() => counters.produceEntries === 1);
  listener.expire(performance.now() + 11_000);
  await one.closed;
  expect(one.frames).toEqual([]);
  expect(lines.join('')).toContain('acks=0 was not done in time');
});
