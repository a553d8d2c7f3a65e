import { apiVersionsApi, encodeRequestFrame, fetchApi, produceApi } from '@millrace/protocol';
import { batchOf, RawClient, until } from '../../broker/support/raw-client.js';

const MiB = 2 ** 20;

const hello = (id: number): Buffer =>
  encodeRequestFrame(apiVersionsApi, id, { clientSoftware: 'overload', clientVersion: '1' });

/** Clients that say hello and then nothing, opened a few at a time. */
export async function idleClients(address: string, count: number): Promise<readonly RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < count) {
    const some = Array.from({ length: Math.min(100, count - clients.length) }, async () => {
      const client = await RawClient.open(address);
      client.write(hello(1));
      await client.frameOf(1);
      return client;
    });
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}

/** Clients that send a frame one byte a second; resolves when the broker has closed all of them. */
export async function trickle(address: string, count: number): Promise<void> {
  const frame = encodeRequestFrame(produceApi, 1, { acks: 1, timeoutMs: 1, entries: [] }, MiB);
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.open(address)));
  let sent = 0;
  const timer = setInterval(() => {
    for (const client of clients) client.write(frame.subarray(sent, sent + 1));
    sent = (sent + 1) % frame.length;
  }, 1_000);
  await Promise.all(clients.map(({ closed }) => closed));
  clearInterval(timer);
}

/** Consumers that ask for all they may and read nothing; resolves when all of them were cut. */
export async function stall(address: string, topicId: string, count: number): Promise<void> {
  const entries = [{ topicId, partition: 0, offset: 0, maxBytes: 64 * MiB }];
  const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 64 * MiB, entries };
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.open(address)));
  await Promise.all(
    clients.map(async (client) => {
      client.socket.pause();
      for (let i = 0; i < 20; i += 1) client.post(fetchApi, request);
      // A reset is noticed by writing; what waits to be read hides the end.
      const timer = setInterval(() => client.socket.write(hello(2)), 500);
      await client.closed;
      clearInterval(timer);
    }),
  );
}

/**
 * Producers that write as fast as the socket takes it, a batch of 1 MiB a request, and look at the
 * answers only when all is written. Resolves to how many batches were acknowledged.
 */
export async function flood(
  address: string,
  topicId: string,
  { producers, batches }: { readonly producers: number; readonly batches: number },
): Promise<number> {
  const batch = batchOf(Buffer.alloc(MiB - 200, 'f'));
  const entries = [{ topicId, partition: 0, byteLength: batch.length }];
  const request = { acks: -1, timeoutMs: 60_000, entries } as const;
  const acknowledged = await Promise.all(
    Array.from({ length: producers }, async () => {
      const client = await RawClient.open(address);
      const ids = Array.from({ length: batches }, () => client.post(produceApi, request, batch));
      await until(() => client.socket.writableLength === 0 || client.socket.destroyed);
      const answers = await Promise.all(ids.map((id) => client.answerTo(produceApi, id)));
      await client.close();
      return answers.filter(({ response }) => response.entries[0]?.errorCode === 0).length;
    }),
  );
  return acknowledged.reduce((sum, count) => sum + count, 0);
}
