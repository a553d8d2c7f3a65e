import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { Millrace, NotMillraceError, UnsupportedVersionError } from '@millrace/client';
import {
  apis,
  encodeErrorFrame,
  encodeResponseFrame,
  metadataApi,
  NO_API_KEY,
  NO_CORRELATION_ID,
  ProtocolError,
} from '@millrace/protocol';
import { onNth, rejectionOf, until, useFakeBroker } from '../support/harness.js';

const harness = useFakeBroker();
const servers: { server: Server; sockets: Set<Socket> }[] = [];

afterEach(() => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

/** A server that does something else than speaking the protocol. */
async function strange(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  servers.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('what is not millrace is called so', async () => {
  const { connect } = harness();
  const http = await strange((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const error = await rejectionOf(connect({ brokers: [http] }).connect());
  expect(error).toBeInstanceOf(NotMillraceError);
  expect(error).toMatchObject({ broker: http, retriable: false });
  expect((error as Error).message).toContain(http);
});

test('random bytes instead of an answer are an error too', async () => {
  const { connect } = harness();
  const garbage = await strange((socket) => socket.write(Buffer.alloc(4096, 0x41)));
  await expect(connect({ brokers: [garbage] }).admin.listTopics()).rejects.toBeInstanceOf(
    NotMillraceError,
  );
});

test('a server that says nothing, or hangs up, is an error that names it', async () => {
  const { connect } = harness();
  const silent = await strange(() => undefined);
  await expect(
    connect({ brokers: [silent], connectTimeoutMs: 50 }).connect(),
  ).rejects.toMatchObject({ code: 'CONNECTION_FAILED', broker: silent });
  const rude = await strange((socket) => socket.end());
  await expect(connect({ brokers: [rude] }).connect()).rejects.toMatchObject({
    code: 'CONNECTION_FAILED',
    message: expect.stringContaining('closed by the other side'),
  });
});

test('a broker that speaks other versions is refused with both ranges', async () => {
  const { broker, client } = harness();
  broker.offered = broker.offered.map((api) =>
    api.apiKey === 0 ? { apiKey: 0, minVersion: 3, maxVersion: 4 } : api,
  );
  const error = await rejectionOf(client.admin.listTopics());
  expect(error).toBeInstanceOf(UnsupportedVersionError);
  expect((error as Error).message).toMatch(/produce 3 to 4.*needs version 0 to 0/);
});

test('a broker from before consumer groups serves the rest, and says what it lacks', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const ofGroups = apis.filter(({ name }) => /group|coordinator|heartbeat|offset[CFD]/i.test(name));
  const keys = new Set(ofGroups.map(({ apiKey }) => apiKey));
  broker.offered = broker.offered.filter(({ apiKey }) => !keys.has(apiKey));
  await client.producer().send('t', { value: 'v' });
  for (const attempt of [
    () => client.consumer({ group: 'g', topics: ['t'] }).start(),
    () => client.admin.listGroups(),
  ]) {
    const error = await rejectionOf(attempt());
    expect(error).toBeInstanceOf(UnsupportedVersionError);
    expect((error as Error).message).toMatch(/does not offer consumer groups; update it/);
  }
});

test('a request that no broker takes is not sent, and is final', async () => {
  const { broker, client } = harness();
  await client.connect();
  const value = 'x'.repeat(32_000);
  const config = Object.fromEntries(Array.from({ length: 40 }, (_, each) => [`k${each}`, value]));
  const error = await rejectionOf(client.admin.createTopic({ name: 't', config }));
  expect(error).toMatchObject({ code: 'FRAME_TOO_LARGE', retriable: false });
  expect((error as Error).message).toContain('createTopics');
  expect(broker.callsOf('createTopics')).toEqual([]);
});

test('a frame that the broker finds too large is final, for that one alone', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  const head = { apiKey: NO_API_KEY, apiVersion: 0, correlationId: NO_CORRELATION_ID };
  const bytes = encodeErrorFrame(head, new ProtocolError('FRAME_TOO_LARGE'));
  broker.intercept = ({ api, nth }) => {
    if (api === 'describeTopics') return { kind: 'raw', bytes };
    return api === 'metadata' && nth === 1 ? { kind: 'ignore' } : undefined;
  };
  const small = client.admin.listTopics();
  const large = rejectionOf(client.admin.describeTopic('t'.repeat(200)));
  expect(await large).toMatchObject({ code: 'FRAME_TOO_LARGE', retriable: false });
  broker.cutAll();
  await expect(small).resolves.toHaveLength(1);
  expect(broker.callsOf('describeTopics')).toHaveLength(1);
});

test('garbage in the middle of a conversation costs the connection, not the work', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  await client.connect();
  broker.intercept = onNth('metadata', [1], { kind: 'raw', bytes: Buffer.alloc(64, 0xff) });
  await expect(client.admin.listTopics()).resolves.toHaveLength(1);
  expect(broker.connections).toBe(2);
});

test('a response to no request is dropped, and told of', async () => {
  const { broker, client, events } = harness();
  broker.createTopic('t');
  const response = { clusterId: 'x', nodes: [], topics: [] };
  const stray = encodeResponseFrame(metadataApi, 4_711, response);
  broker.intercept = onNth('metadata', [1], { kind: 'raw', bytes: stray });
  const listing = client.admin.listTopics();
  await until(() => events.some(({ type }) => type === 'unknown-response'));
  expect(events).toContainEqual({
    type: 'unknown-response',
    broker: broker.address,
    correlationId: 4_711,
  });
  broker.cutAll();
  await expect(listing).resolves.toHaveLength(1);
});

test('responses may overtake each other', async () => {
  const { broker, client } = harness();
  broker.createTopic('t');
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  broker.intercept = onNth('describeTopics', [1], { kind: 'delay', until: gate });
  const slow = client.admin.describeTopic('t');
  await expect(client.admin.describeTopic('t')).resolves.toMatchObject({ name: 't' });
  release();
  await expect(slow).resolves.toMatchObject({ name: 't' });
  expect(broker.connections).toBe(1);
});

test('one connection for each purpose, shared by all', async () => {
  const { broker, client } = harness();
  broker.createTopic('t', 3);
  const producers = [client.producer(), client.producer()];
  await Promise.all(producers.map((producer) => producer.send('t', { value: 'v' })));
  const consumer = client.consumer({ topics: ['t'], exitAtEnd: true });
  for await (const message of consumer) expect(message.text()).toBe('v');
  await Promise.all([client.admin.listTopics(), client.admin.offsets('t')]);
  expect(broker.openConnections).toBe(3);
});

test('a broker that hangs up on everybody is not stormed', async () => {
  const { connect } = harness();
  let dials = 0;
  const rude = await strange((socket) => {
    dials += 1;
    socket.destroy();
  });
  const client = connect({
    brokers: [rude],
    requestTimeoutMs: 400,
    reconnectBackoffMs: 50,
    reconnectBackoffMaxMs: 2_000,
  });
  await expect(client.admin.listTopics()).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
  // 50 + 100 + 200 ms of waiting at least 20 % less: no more than a handful fits.
  expect(dials).toBeLessThanOrEqual(6);
});

test('the second broker of the list is used when the first is not there', async () => {
  const { broker, connect } = harness();
  broker.createTopic('t');
  const gone = await strange(() => undefined);
  servers.splice(0).forEach(({ server }) => server.close());
  const client = connect({ brokers: [gone, broker.address] });
  await expect(client.admin.listTopics()).resolves.toHaveLength(1);
  await expect(client.producer().send('t', { value: 'v' })).resolves.toMatchObject({ offset: 0 });
});

test('wrong addresses and options are refused at once', () => {
  const make = (brokers: string[], options = {}) => new Millrace({ brokers, ...options });
  expect(() => make([])).toThrow(/brokers/);
  expect(() => make(['host:port'])).toThrow(/host:port/);
  expect(() => make(['h:0'])).toThrow(/address/);
  expect(() => make(['h:70000'])).toThrow(/address/);
  expect(() => make(['h'], { requestTimeoutMs: 0 })).toThrow(/requestTimeoutMs/);
});
