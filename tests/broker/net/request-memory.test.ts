import { describe, expect, test } from '@jest/globals';
import {
  apiVersionsApi,
  DEFAULT_FRAME_LIMITS,
  encodeFrame,
  fetchApi,
  produceApi,
} from '@millrace/protocol';
import type { Frame } from '@millrace/protocol';
import type { Listener } from '../../../broker/src/net/listener.js';
import { RequestMemory } from '../../../broker/src/net/request-memory.js';
import { seededRandom, testSeed } from '../../support/seed.js';
import { GatedProtocol, keepingLogger, requestOf, testListener } from '../support/listener.js';
import { batchOf, until } from '../support/raw-client.js';
import type { RawClient } from '../support/raw-client.js';
import { testBroker, testClient } from '../support/temporary.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const SLAB = 256 * KiB;

function closedGate(protocol: GatedProtocol): () => void {
  let open: () => void = () => undefined;
  protocol.gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}

/** Small requests on a connection of its own: others get many turns of the event loop meanwhile. */
async function exchangeSmall(client: RawClient, rounds: number, look: () => void): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    client.write(requestOf(9_000 + round, 0));
    await client.frameOf(9_000 + round);
    look();
  }
}

describe('memory of one connection', () => {
  test('is bounded: reading stops until requests are served, and all are', async () => {
    const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
    const open = closedGate(protocol);
    const limits = { maxInFlightBytesPerConnection: MiB };
    const { listener, client } = await testListener(protocol, { limits });
    const greedy = await client();
    const other = await client();
    const ids = Array.from({ length: 64 }, (_, index) => index + 1);
    greedy.write(Buffer.concat(ids.map((id) => requestOf(id, 200 * KiB))));
    await until(() => listener.requestMemoryBytes >= MiB);
    await exchangeSmall(other, 300, () => {
      expect(listener.requestMemoryBytes).toBeLessThan(2 * MiB);
    });
    open();
    for (const id of ids) await greedy.frameOf(id);
    await until(() => listener.requestMemoryBytes === 0);
  });

  test('lets in a single request that is larger than the bound', async () => {
    const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
    const limits = { maxInFlightBytesPerConnection: 64 * KiB };
    const { listener, client } = await testListener(protocol, { limits });
    const one = await client();
    one.write(Buffer.concat([requestOf(1, 3 * MiB), requestOf(2, 3 * MiB), requestOf(3, 10)]));
    for (const id of [1, 2, 3]) await one.frameOf(id);
    await until(() => listener.requestMemoryBytes === 0);
  });

  test('counts small requests that wait for their turn', async () => {
    const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
    const open = closedGate(protocol);
    const limits = { maxInFlightRequestsPerConnection: 1 };
    const { listener, client } = await testListener(protocol, { limits });
    const one = await client();
    one.write(
      Buffer.concat([requestOf(1, 1), ...Array.from({ length: 2_000 }, () => requestOf(2, 0))]),
    );
    await until(() => listener.requestMemoryBytes > 2_000 * 512);
    await one.close();
    open();
    await until(() => listener.requestMemoryBytes === 0);
  });
});

describe('memory of all connections', () => {
  const maxRequestMemoryBytes = 4 * MiB;
  const FRAME = 900 * KiB;
  const CLIENTS = 12;

  /** Clients that send all of a request but its last byte; more than there is memory for. */
  async function beginLarge(
    listener: Listener<Frame>,
    client: () => Promise<RawClient>,
  ): Promise<RawClient[]> {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => client()));
    const frames = clients.map((_, index) => requestOf(index + 1, FRAME));
    for (const [index, each] of clients.entries()) {
      each.write(frames[index]?.subarray(0, 10 * KiB) ?? Buffer.alloc(0));
    }
    await until(() => listener.requestMemoryBytes >= CLIENTS * SLAB);
    for (const [index, each] of clients.entries()) {
      each.write(frames[index]?.subarray(10 * KiB, -1) ?? Buffer.alloc(0));
    }
    await until(() => listener.requestMemoryBytes >= maxRequestMemoryBytes);
    return clients;
  }

  /** The formula of RequestMemory: the bound, its reserves, one frame, one read. */
  const hardBound = maxRequestMemoryBytes * 1.25 + FRAME + 3 * SLAB;

  test('is bounded while frames are incomplete, small requests go on, and all end', async () => {
    const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
    const { listener, client } = await testListener(protocol, { maxRequestMemoryBytes });
    const small = await client();
    const large = await beginLarge(listener, client);
    const look = (): void => {
      expect(listener.requestMemoryBytes).toBeLessThan(hardBound);
    };
    await exchangeSmall(small, 300, look);
    expect(protocol.served).toBe(300);
    for (const [index, each] of large.entries()) {
      each.write(Buffer.from([index + 1]));
    }
    await Promise.all(large.map((each, index) => each.frameOf(index + 1)));
    look();
    await until(() => listener.requestMemoryBytes === 0);
  });

  test('that a request without an answer used up and gave back at once stops nobody', async () => {
    const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
    const open = closedGate(protocol);
    const maxRequestMemoryBytes = 512 * KiB;
    const { listener, client } = await testListener(protocol, { maxRequestMemoryBytes });
    const [holder, other] = [await client(), await client()];
    let held = 0;
    for (let id = 1; maxRequestMemoryBytes - held > 6 * KiB; id += 1) {
      holder.write(requestOf(id, 4 * KiB));
      await until(() => listener.requestMemoryBytes > held);
      held = listener.requestMemoryBytes;
    }
    Object.assign(protocol, { gate: undefined, silent: true });
    const { served } = protocol;
    other.write(requestOf(1, 8_000));
    await until(() => protocol.served > served);
    other.write(requestOf(2, 0));
    await other.frameOf(2);
    open();
  });

  test('comes back when frames that stall are given up, also those that wait', async () => {
    const { logger, lines } = keepingLogger();
    const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
    const options = { maxRequestMemoryBytes, logger, limits: { requestTimeoutMs: 30_000 } };
    const { listener, client } = await testListener(protocol, options);
    const stalled = await beginLarge(listener, client);
    const small = await client();
    await exchangeSmall(small, 100, () => undefined);
    listener.expire(performance.now());
    expect(lines.join('')).toContain('maxRequestMemoryBytes');
    for (let beyondMs = 31_000; stalled.length > 0; beyondMs += 31_000) {
      listener.expire(performance.now() + beyondMs);
      await exchangeSmall(small, 10, () => undefined);
      const first = stalled[0];
      if (first?.socket.readableEnded === true || first?.socket.destroyed === true) stalled.shift();
    }
    const large = await client();
    large.write(requestOf(77, FRAME));
    await large.frameOf(77);
    await until(() => listener.requestMemoryBytes === 0);
  });

  test('too little for all never keeps any request from its answer', async () => {
    const random = seededRandom(testSeed());
    const protocol = new GatedProtocol(DEFAULT_FRAME_LIMITS);
    const limits = { maxInFlightBytesPerConnection: 512 * KiB };
    const options = { maxRequestMemoryBytes: MiB, limits };
    const { listener, client } = await testListener(protocol, options);
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const each = await client();
        const requests: Buffer[] = [];
        for (let id = 1; id <= 40; id += 1) {
          const bytes = Math.floor(random() < 0.5 ? random() * 100 : random() * 400 * KiB);
          requests.push(requestOf(id, bytes));
        }
        const all = Buffer.concat(requests);
        for (let position = 0; position < all.length;) {
          const length = random() < 0.2 ? Math.ceil(random() * 100) : Math.ceil(random() * 300_000);
          each.write(all.subarray(position, position + length));
          position += length;
          if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
        }
        for (let id = 1; id <= 40; id += 1) await each.frameOf(id);
      }),
    );
    await until(() => listener.requestMemoryBytes === 0);
  });
});

describe('the pass beyond the bound', () => {
  const newUser = (midFrame: boolean) => ({
    heldBytes: 0,
    midFrame,
    reviews: 0,
    review() {
      this.reviews += 1;
    },
  });

  test('is for one incomplete frame at a time, the longest waiting', async () => {
    const memory = new RequestMemory(800);
    const [first, second, idle] = [newUser(true), newUser(true), newUser(false)];
    for (const user of [first, second, idle]) memory.join(user);
    memory.take(first, 400);
    memory.take(second, 400);
    expect([first, second, idle].map((user) => memory.mayRead(user))).toEqual([false, false, true]);
    await Promise.resolve();
    expect([first, second].map((user) => memory.mayRead(user))).toEqual([true, false]);
    memory.frameEnded(first);
    expect(memory.mayRead(first)).toBe(false);
    await Promise.resolve();
    expect([first, second].map((user) => memory.mayRead(user))).toEqual([false, true]);
    memory.leave(second);
    memory.give(second, 400);
    await Promise.resolve();
    expect([first, idle].map((user) => memory.mayRead(user))).toEqual([true, true]);
    expect(memory.usedBytes).toBe(400);
  });

  test('and the reserve for those who hold nothing, until that is used up', () => {
    const memory = new RequestMemory(800);
    const [holder, idle] = [newUser(false), newUser(false)];
    memory.join(holder);
    memory.join(idle);
    memory.take(holder, 899);
    expect([holder, idle].map((user) => memory.mayRead(user))).toEqual([false, true]);
    memory.take(holder, 1);
    expect([holder, idle].map((user) => memory.mayRead(user))).toEqual([false, false]);
  });
});

describe('a payload on a request that takes none', () => {
  test('is refused, holds no memory, and leaves the connection alone', async () => {
    const client = await testClient(await testBroker());
    const topicId = await client.createTopic('t');
    const entries = [{ topicId, partition: 0, offset: 0, maxBytes: 1_000 }];
    const poll = { maxWaitMs: 60_000, minBytes: 1, maxBytes: 1_000, entries };
    const refused = client.call(fetchApi, poll, Buffer.alloc(MiB));
    await expect(refused).rejects.toMatchObject({
      errorName: 'INVALID_REQUEST',
      message: expect.stringContaining('fetch: 1048576 bytes follow the header'),
    });
    client.write(
      Buffer.concat([
        encodeFrame({ apiKey: 999, apiVersion: 0, correlationId: 5 }, [], 3),
        Buffer.alloc(3),
      ]),
    );
    expect((await client.frameOf(5)).fields[0]).toBe(1001);
    await client.call(apiVersionsApi, { clientSoftware: 'test', clientVersion: '1' });
    const batch = batchOf('a');
    const rows = [{ topicId, partition: 0, byteLength: batch.length }];
    const { response } = await client.call(
      produceApi,
      { acks: -1, timeoutMs: 10_000, entries: rows },
      batch,
    );
    expect(response.entries[0]?.errorCode).toBe(0);
  });
});
