import { describe, expect, test } from '@jest/globals';
import { initProducerIdApi, MAX_INT16 } from '@millrace/protocol';
import type { InitProducerIdResponse } from '@millrace/protocol';
import type { RawClient } from '../support/raw-client.js';
import { testBroker, testClient } from '../support/temporary.js';

const NEW = { producerId: -1, producerEpoch: -1 };

async function init(
  client: RawClient,
  request: { producerId: number; producerEpoch: number },
): Promise<InitProducerIdResponse> {
  return (await client.call(initProducerIdApi, request)).response;
}

describe('initProducerId', () => {
  test('gives each new producer an id of its own', async () => {
    const client = await testClient(await testBroker());
    const first = await init(client, NEW);
    const second = await init(client, NEW);
    expect(first.producerEpoch).toBe(0);
    expect(second.producerId).not.toBe(first.producerId);
  });

  test('raises the epoch of a producer that it knows', async () => {
    const client = await testClient(await testBroker());
    const { producerId } = await init(client, NEW);
    expect(await init(client, { producerId, producerEpoch: 0 })).toEqual({
      producerId,
      producerEpoch: 1,
    });
  });

  test('replaces an id whose epochs are used up, and one that it never gave', async () => {
    const client = await testClient(await testBroker());
    const { producerId } = await init(client, NEW);
    const usedUp = await init(client, { producerId, producerEpoch: MAX_INT16 });
    expect(usedUp.producerId).not.toBe(producerId);
    expect(usedUp.producerEpoch).toBe(0);
    const foreign = 10 ** 9;
    const replaced = await init(client, { producerId: foreign, producerEpoch: 3 });
    expect(replaced.producerId).not.toBe(foreign);
    expect(replaced.producerEpoch).toBe(0);
  });

  test('refuses half an identity', async () => {
    const client = await testClient(await testBroker());
    await expect(init(client, { producerId: 1, producerEpoch: -1 })).rejects.toMatchObject({
      errorName: 'INVALID_REQUEST',
    });
  });
});
