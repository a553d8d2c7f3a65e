import { describe, expect, test } from '@jest/globals';
import { createTopicsApi, describeTopicsApi, metadataApi } from '@millrace/protocol';
import { DescribeTopicsHandler } from '../../../broker/src/handlers/describe-topics.js';
import { MetadataHandler } from '../../../broker/src/handlers/metadata.js';
import type { HandlerServices } from '../../../broker/src/handlers/services.js';
import { testBroker, testClient } from '../support/temporary.js';

/** A topic with so many partitions that nobody looks at. */
function servicesWithTopics(count: number, partitions: number): HandlerServices {
  const topic = {
    name: 't',
    id: 'a'.repeat(32),
    partitions: {
      length: partitions,
      map: () => {
        throw new Error('the answer was built');
      },
    },
    describeConfig: () => [],
  };
  const list = Array.from({ length: count }, () => topic);
  return {
    storage: { clusterId: 'c', nodeId: 0, topics: { byName: () => topic, list: () => list } },
    config: { advertisedListen: '' },
  } as unknown as HandlerServices;
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `t${n}`);
const tooLarge = expect.objectContaining({
  errorName: 'LIMIT_EXCEEDED',
  message: expect.stringContaining('ask for fewer topics at a time'),
});

describe('an answer about topics that fits into no response is refused before it is built', () => {
  test('by describeTopics', () => {
    const handler = new DescribeTopicsHandler(servicesWithTopics(0, 10_000));
    expect(() => handler.handle({ names: names(3) })).toThrow(tooLarge);
    expect(() => handler.handle({ names: names(2) })).toThrow('the answer was built');
  });

  test('by metadata, of named topics and of all', () => {
    const handler = new MetadataHandler(servicesWithTopics(9, 10_000));
    expect(() => handler.handle({ topics: names(9) })).toThrow(tooLarge);
    expect(() => handler.handle({ topics: null })).toThrow(tooLarge);
    expect(() => handler.handle({ topics: names(8) })).toThrow('the answer was built');
  });
});

describe('a name that is repeated is refused', () => {
  test('by describeTopics and metadata, which name it', async () => {
    const client = await testClient(await testBroker());
    await client.createTopic('t');
    const refusal = {
      errorName: 'INVALID_REQUEST',
      message: expect.stringContaining('"t" is named more than once'),
    };
    const twice = ['t', 'other', 't'];
    await expect(client.call(describeTopicsApi, { names: twice })).rejects.toMatchObject(refusal);
    await expect(client.call(metadataApi, { topics: twice })).rejects.toMatchObject(refusal);
    const { response } = await client.call(metadataApi, { topics: ['t', 'other'] });
    expect(response.topics.map(({ errorCode, name }) => [errorCode, name])).toEqual([
      [0, 't'],
      [3, 'other'],
    ]);
  });
});

test('a topic that allows batches which no request can carry is not created', async () => {
  const MiB = 2 ** 20;
  const broker = await testBroker({ maxFrameBytes: 12 * MiB, maxHeaderBytes: MiB });
  const client = await testClient(broker);
  const create = async (bytes: number): Promise<unknown> => {
    const config: [string, string][] = [['max.message.bytes', String(bytes)]];
    const topics = [{ name: 't', partitions: 1, config }];
    const { response } = await client.call(createTopicsApi, { topics, timeoutMs: 10_000 });
    return response.topics[0];
  };
  expect(await create(11 * MiB)).toMatchObject({
    errorCode: 40,
    errorMessage: expect.stringContaining(`(${11 * MiB - 8} bytes: its maxFrameBytes less`),
  });
  expect(await create(11 * MiB - 8)).toMatchObject({ errorCode: 0 });
});

test('names that begin with __ are kept for the broker', async () => {
  const client = await testClient(await testBroker());
  const topics = [{ name: '__mine', partitions: 1, config: [] }];
  const { response } = await client.call(createTopicsApi, { topics, timeoutMs: 10_000 });
  expect(response.topics).toMatchObject([
    { errorCode: 44, errorMessage: expect.stringContaining('begin with __ are reserved') },
  ]);
});
