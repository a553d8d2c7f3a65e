import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { apiVersionsApi, produceApi } from '@millrace/protocol';
import { pino } from 'pino';
import { HttpServer } from '../../../broker/src/http/http-server.js';
import { healthOf } from '../../../broker/src/http/health.js';
import type { BrokerState, HealthOfStorage } from '../../../broker/src/http/health.js';
import { batchOf } from '../support/raw-client.js';
import { afterTest, testBroker, testClient } from '../support/temporary.js';

const hello = { clientSoftware: 'test', clientVersion: '1' };

/** The sample lines of a scrape by name and labels. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

describe('http', () => {
  test('is off in process unless asked for', async () => {
    expect((await testBroker()).httpAddress).toBeUndefined();
  });

  test('answers health, readiness, and a list of paths for anything else', async () => {
    const broker = await testBroker({ http: '127.0.0.1:0' });
    const url = `http://${broker.httpAddress ?? ''}`;
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([200, 'ready\n']);
    const other = await fetch(`${url}/other`);
    expect(other.status).toBe(404);
    expect(await other.text()).toContain('/metrics');
    expect((await fetch(`${url}/healthz`, { method: 'POST' })).status).toBe(405);
  });

  test('is unready while the broker starts or stops', async () => {
    let state: BrokerState = 'starting';
    const server = new HttpServer({
      maxConnections: 100,
      listen: '127.0.0.1:0',
      health: () => healthOf(state, { topics: { list: () => [] }, disk: { problem: undefined } }),
      metricSources: () => undefined,
      logger: pino({ level: 'silent' }),
    });
    const url = `http://${await server.listen()}`;
    afterTest(() => server.close());
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    expect((await fetch(`${url}/metrics`)).status).toBe(503);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    state = 'ready';
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    state = 'stopping';
    const stopping = await fetch(`${url}/readyz`);
    expect([stopping.status, await stopping.text()]).toEqual([503, 'stopping\n']);
  });

  test('names offline partitions without turning the others away', () => {
    const partitions = [0, 1].map((index) => ({
      ...{ topicName: 't', index, state: index === 1 ? 'offline' : 'online' },
    }));
    const topics = { list: () => [{ partitions }] } as unknown as HealthOfStorage['topics'];
    expect(healthOf('ready', { topics, disk: { problem: undefined } })).toEqual({
      ready: true,
      detail: 'ready, but 1 partitions are offline: t-1',
    });
  });

  test('says that the disk is nearly full without turning consumers away', () => {
    const disk = { problem: '1 bytes are free' };
    expect(healthOf('ready', { topics: { list: () => [] }, disk })).toEqual({
      ready: true,
      detail: 'ready, but messages are refused: 1 bytes are free',
    });
  });

  test('a port in use is an error that says so', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    afterTest(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    await expect(testBroker({ http: `127.0.0.1:${port}` })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: the port is in use; stop what listens there, ` +
        'or choose another by --http',
    );
    await expect(testBroker({ listen: `127.0.0.1:${port}` })).rejects.toThrow('by --listen');
  });
});

test('metrics tell what happened, of this broker alone', async () => {
  const broker = await testBroker({ http: '127.0.0.1:0' });
  const other = await testBroker();
  await (await testClient(other)).call(apiVersionsApi, hello);
  const client = await testClient(broker);
  const topicId = await client.createTopic('t', 3);
  const batch = batchOf('a');
  const entries = [{ topicId, partition: 0, byteLength: batch.length }];
  await client.call(produceApi, { acks: 1, timeoutMs: 1_000, entries }, batch);
  const wrong = [{ topicId, partition: 0, byteLength: 1 }];
  const refused = client.call(produceApi, { acks: 1, timeoutMs: 1_000, entries: wrong }, batch);
  await expect(refused).rejects.toThrow();

  const response = await fetch(`http://${broker.httpAddress ?? ''}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  const samples = samplesOf(await response.text());
  expect(samples.get('millrace_connections')).toBe(1);
  expect(samples.get('millrace_requests_total{api="produce"}')).toBe(2);
  expect(samples.get('millrace_requests_total{api="apiVersions"}')).toBe(0);
  expect(samples.get('millrace_request_errors_total{api="produce",error="INVALID_REQUEST"}')).toBe(
    1,
  );
  expect(samples.get('millrace_request_duration_seconds_count{api="produce"}')).toBe(2);
  expect(samples.get('millrace_request_duration_seconds_bucket{api="produce",le="+Inf"}')).toBe(2);
  expect(samples.get('millrace_produce_bytes_total')).toBe(batch.length);
  expect(samples.get('millrace_partitions{state="online"}')).toBe(3);
  expect(samples.get('millrace_log_bytes{topic="t"}')).toBe(batch.length);
  expect(samples.get('millrace_received_bytes_total')).toBeGreaterThan(batch.length);
  expect(samples.get('millrace_sent_bytes_total')).toBeGreaterThan(0);
  expect(samples.get('millrace_native_calls_total{call="sendmsg"}')).toBeGreaterThan(0);
});
