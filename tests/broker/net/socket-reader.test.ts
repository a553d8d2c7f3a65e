import { expect, test } from '@jest/globals';
import { fetchApi, encodeRequestFrame, produceApi, readBatches } from '@millrace/protocol';
import { seededRandom, testSeed } from '../../support/seed.js';
import { batchOf } from '../support/raw-client.js';
import type { RawClient } from '../support/raw-client.js';
import { testBroker, testClient } from '../support/temporary.js';

const MiB = 2 ** 20;

/** Writes `bytes` in pieces of random size, each with its own system call where possible. */
async function writeInPieces(
  client: RawClient,
  bytes: Buffer,
  random: () => number,
): Promise<void> {
  let position = 0;
  while (position < bytes.length) {
    const length = random() < 0.3 ? 1 + Math.floor(random() * 40) : Math.ceil(random() * 200_000);
    client.write(bytes.subarray(position, position + length));
    position += length;
    if (random() < 0.2) await new Promise((resolve) => setImmediate(resolve));
  }
}

test('memory that requests lie in is not written over before they are stored', async () => {
  const random = seededRandom(testSeed());
  const broker = await testBroker({ maxInFlightRequestsPerConnection: 8 });
  const topicId = await (await testClient(broker)).createTopic('t', 4);
  await Promise.all(
    [0, 1, 2, 3].map(async (partition) => {
      const client = await testClient(broker);
      const values: Buffer[] = [];
      const requests: Buffer[] = [];
      for (let id = 1; id <= 60; id += 1) {
        const size = random() < 0.5 ? Math.ceil(random() * 300) : Math.ceil(random() * 300_000);
        const value = Buffer.alloc(size, Math.floor(random() * 256));
        const batch = batchOf(value);
        const acks = random() < 0.5 ? 1 : -1;
        const entries = [{ topicId, partition, byteLength: batch.length }];
        const produce = { acks, timeoutMs: 10_000, entries } as const;
        values.push(value);
        requests.push(encodeRequestFrame(produceApi, id, produce, batch.length), batch);
        if (random() < 0.3) {
          const entries = [{ topicId, partition, offset: 0, maxBytes: 1 }];
          const fetch = { maxWaitMs: 0, minBytes: 0, maxBytes: 1, entries };
          requests.push(encodeRequestFrame(fetchApi, 1_000 + id, fetch));
        }
      }
      await writeInPieces(client, Buffer.concat(requests), random);
      for (let id = 1; id <= 60; id += 1) {
        const { response } = await client.answerTo(produceApi, id);
        expect(response.entries[0]).toMatchObject({ errorCode: 0, baseOffset: id - 1 });
      }
      for (let offset = 0; offset < 60;) {
        const entries = [{ topicId, partition, offset, maxBytes: MiB }];
        const fetch = { maxWaitMs: 0, minBytes: 1, maxBytes: MiB, entries };
        const { payload } = await client.call(fetchApi, fetch);
        for (const batch of readBatches(payload)) {
          for (const record of batch) {
            expect(record.offset).toBe(offset);
            expect(record.value?.equals(values[offset] ?? Buffer.alloc(0))).toBe(true);
            offset += 1;
          }
        }
      }
    }),
  );
});
