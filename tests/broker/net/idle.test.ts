import { expect, test } from '@jest/globals';
import { DEFAULT_FRAME_LIMITS } from '@millrace/protocol';
import { GatedProtocol, keepingLogger, requestOf, testListener } from '../support/listener.js';
import { until } from '../support/raw-client.js';

const limits = { firstRequestTimeoutMs: 1_000, connectionIdleTimeoutMs: 60_000 };

test('a client that never asks for anything is cut, and the log says so', async () => {
  const { logger, lines } = keepingLogger();
  const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
  const { counters, listener, client } = await testListener(protocol, { logger, limits });
  const silent = await client();
  const asking = await client();
  asking.write(requestOf(1, 0));
  await asking.frameOf(1);
  await until(() => listener.connections === 2);
  listener.expire(performance.now() + 1_100);
  await silent.closed;
  expect(lines.join('')).toContain('firstRequestTimeoutMs');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    client: expect.stringContaining('127.0.0.1'),
  });
  expect(counters.connectionsCut['no request']).toBe(1);
  asking.write(requestOf(2, 0));
  await asking.frameOf(2);
});

test('a client that asks no more is disconnected, one that waits for an answer is not', async () => {
  const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
  let open: () => void = () => undefined;
  protocol.gate = new Promise((resolve) => (open = resolve));
  const { counters, listener, client } = await testListener(protocol, { limits });
  const idle = await client();
  const waiting = await client();
  idle.write(requestOf(1, 0));
  await idle.frameOf(1);
  waiting.write(requestOf(2, 10));
  const startedMs = performance.now();
  await until(() => listener.requestMemoryBytes > 0);
  listener.expire(startedMs + 59_000);
  expect(counters.connectionsCut.idle).toBe(0);
  listener.expire(startedMs + 61_000);
  await idle.closed;
  expect(counters.connectionsCut.idle).toBe(1);
  open();
  await until(() => listener.requestMemoryBytes === 0);
  // Its time begins when it was last seen to wait.
  listener.expire(startedMs + 120_000);
  expect(counters.connectionsCut.idle).toBe(1);
  listener.expire(startedMs + 121_100);
  await waiting.closed;
  expect(counters.connectionsCut.idle).toBe(2);
});

test('a frame that does not end is counted as slow', async () => {
  const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
  const { counters, listener, client } = await testListener(protocol, { limits });
  const slow = await client();
  slow.write(requestOf(1, 0));
  await slow.frameOf(1);
  slow.write(requestOf(2, 100).subarray(0, 20));
  await until(() => listener.requestMemoryBytes > 0);
  listener.expire(performance.now() + 31_000);
  await slow.closed;
  expect(counters.connectionsCut.slow).toBe(1);
});

test('clients of one address are bounded, and a place is free again when one goes', async () => {
  const { logger, lines } = keepingLogger();
  const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
  const { listener, client } = await testListener(protocol, {
    logger,
    maxConnectionsPerAddress: 2,
  });
  const first = await client();
  await client();
  const third = await client();
  await third.closed;
  expect(lines.join('')).toContain('as many as maxConnectionsPerAddress');
  await first.close();
  await until(() => listener.connections === 1);
  const fourth = await client();
  fourth.write(requestOf(4, 0));
  await fourth.frameOf(4);
});
