import { describe, expect, test } from '@jest/globals';
import { ProtocolError } from '../../protocol/src/errors.js';
import {
  apiByKey,
  apiOfRequest,
  apis,
  isTopicId,
  isValidTopicName,
  pickVersion,
} from '../../protocol/src/messages/index.js';

function errorOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    if (error instanceof ProtocolError) return `${error.errorName} ${error.message}`;
    throw error;
  }
}

describe('the API table', () => {
  test('has these keys and names, as Kafka has them', () => {
    expect(apis.map(({ apiKey, name }) => [apiKey, name])).toEqual([
      [0, 'produce'],
      [1, 'fetch'],
      [2, 'listOffsets'],
      [3, 'metadata'],
      [8, 'offsetCommit'],
      [9, 'offsetFetch'],
      [10, 'findCoordinator'],
      [11, 'joinGroup'],
      [12, 'heartbeat'],
      [13, 'leaveGroup'],
      [14, 'syncGroup'],
      [15, 'describeGroups'],
      [16, 'listGroups'],
      [18, 'apiVersions'],
      [19, 'createTopics'],
      [20, 'deleteTopics'],
      [21, 'deleteRecords'],
      [22, 'initProducerId'],
      [37, 'createPartitions'],
      [42, 'deleteGroups'],
      [44, 'alterTopicConfigs'],
      [47, 'offsetDelete'],
      [60, 'describeCluster'],
      [75, 'describeTopics'],
    ]);
    for (const { minVersion, maxVersion } of apis) expect([minVersion, maxVersion]).toEqual([0, 0]);
  });

  test('finds an API by its key', () => {
    for (const api of apis) expect(apiByKey(api.apiKey)).toBe(api);
    expect(apiByKey(4)).toBeUndefined();
  });

  test('finds the API of a request, or says what is wrong with it', () => {
    expect(apiOfRequest({ apiKey: 1, apiVersion: 0 })).toBe(apiByKey(1));
    expect(errorOf(() => apiOfRequest({ apiKey: 4, apiVersion: 0 }))).toBe(
      'UNKNOWN_API There is no API with key 4',
    );
    expect(errorOf(() => apiOfRequest({ apiKey: 1, apiVersion: 9 }))).toBe(
      'UNSUPPORTED_VERSION fetch version 9 is not supported; use one from 0 to 0',
    );
  });
});

describe('pickVersion', () => {
  const api = { apiKey: 1, name: 'fetch', minVersion: 2, maxVersion: 5 };
  const theirs = (minVersion: number, maxVersion: number) => [
    { apiKey: 0, minVersion: 0, maxVersion: 9 },
    { apiKey: 1, minVersion, maxVersion },
  ];

  test.each([
    [0, 9, 5],
    [0, 3, 3],
    [0, 2, 2],
    [5, 9, 5],
    [3, 4, 4],
  ])('with %d to %d of the other side takes %d', (min, max, version) => {
    expect(pickVersion(api, theirs(min, max))).toBe(version);
  });

  test('refuses when there is none in common', () => {
    expect(errorOf(() => pickVersion(api, theirs(0, 1)))).toMatch(
      /^UNSUPPORTED_VERSION No common version of fetch: the broker speaks 0 to 1, this client 2 to/,
    );
    expect(errorOf(() => pickVersion(api, theirs(6, 9)))).toMatch(/^UNSUPPORTED_VERSION/);
    expect(errorOf(() => pickVersion(api, []))).toMatch(/^UNKNOWN_API .* does not offer fetch/);
  });
});

describe('names', () => {
  test.each(['a', 'A-Z_0.9', '...', 'x'.repeat(249), '-'])('%s is a topic name', (name) => {
    expect(isValidTopicName(name)).toBe(true);
  });

  test.each(['', '.', '..', 'a b', 'a/b', 'ä', 'a\n', '\0', 'x'.repeat(250)])(
    '%j is not a topic name',
    (name) => {
      expect(isValidTopicName(name)).toBe(false);
    },
  );

  test('a topic id has 32 lower-case hexadecimal digits', () => {
    expect(isTopicId('0123456789abcdef0123456789abcdef')).toBe(true);
    for (const value of ['', '0123456789ABCDEF0123456789abcdef', `${'0'.repeat(32)}\n`, 7, null]) {
      expect(isTopicId(value)).toBe(false);
    }
  });
});
