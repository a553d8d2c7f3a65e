import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProtocolError } from '../../protocol/src/errors.js';
import { decodeFrame } from '../../protocol/src/frame.js';
import {
  MAX_ENTRIES,
  MAX_FETCHED_OFFSETS,
  MAX_GROUP_METADATA_BYTES,
  MAX_LISTED_GROUPS,
} from '../../protocol/src/limits.js';
import {
  alterTopicConfigsApi,
  apis,
  createTopicsApi,
  describeTopicsApi,
  encodeResponseFrame,
  fetchApi,
  joinGroupApi,
  listGroupsApi,
  listOffsetsApi,
  metadataApi,
  offsetFetchApi,
  produceApi,
} from '../../protocol/src/messages/index.js';
import type { ListedGroup, OffsetFetchResult } from '../../protocol/src/messages/index.js';

const topicId = '00112233445566778899aabbccddeeff';

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ProtocolError) return `${error.errorName} ${error.message}`;
    throw error;
  }
  return 'nothing was thrown';
}

function produceRow(row: unknown): string {
  const good = [topicId, 0, 1];
  return messageOf(() => produceApi.decodeRequest([1, 0, [good, good, good, row]]));
}

describe('a request with a bad field is refused by the name of the field', () => {
  test.each<[unknown, string]>([
    [[topicId, 'x', 1], 'partition: expected an integer from 0 to 2147483647, got "x"'],
    [[topicId, -1, 1], 'partition: expected an integer from 0 to 2147483647, got -1'],
    [[topicId, 2 ** 31, 1], 'partition: expected an integer from 0 to 2147483647, got 2147483648'],
    [[topicId, 0.5, 1], 'partition: expected an integer from 0 to 2147483647, got 0.5'],
    [[topicId, null, 1], 'partition: expected an integer from 0 to 2147483647, got null'],
    [[topicId, [1], 1], 'partition: expected an integer from 0 to 2147483647, got a list of 1'],
    [
      [topicId, Buffer.alloc(3), 1],
      'partition: expected an integer from 0 to 2147483647, got 3 bytes',
    ],
    [
      [topicId, 1],
      'byteLength: expected an integer from 0 to 2147483647, got nothing: only 2 fields are there',
    ],
    [
      [topicId.toUpperCase(), 1, 1],
      'topicId: expected a topic id of 32 lower-case hexadecimal digits, ' +
        `got "${topicId.toUpperCase()}"`,
    ],
    [
      ['y'.repeat(500), 1, 1],
      'topicId: expected a topic id of 32 lower-case hexadecimal digits, ' +
        `got "${'y'.repeat(40)}"… (500 characters)`,
    ],
  ])('%j', (row, message) => {
    expect(produceRow(row)).toBe(`INVALID_REQUEST produce.entries[3].${message}`);
  });

  test('a row that is none, and one with more fields', () => {
    expect(produceRow(7)).toBe(
      'INVALID_REQUEST produce.entries[3]: expected a row of fields, got 7',
    );
    expect(produceRow([topicId, 1, 1, 9, 9])).toBe(
      'INVALID_REQUEST produce.entries[3]: 2 more fields than the 3 expected',
    );
  });

  test('a message with more fields', () => {
    expect(messageOf(() => produceApi.decodeRequest([1, 0, [], null]))).toBe(
      'INVALID_REQUEST produce: 1 more field than the 3 expected',
    );
  });

  test('at any depth', () => {
    const topic = [
      'orders',
      1,
      [
        ['a', 'b'],
        ['c', 9],
      ],
    ];
    expect(messageOf(() => createTopicsApi.decodeRequest([[topic], 0]))).toMatch(
      /^INVALID_REQUEST createTopics\.topics\[0\]\.config\[1\]\.value: expected a string/,
    );
    const partition = [0, 0, 0, 0, 0, 0, 0, 0, 0, 'asleep'];
    const described = [0, null, 'orders', topicId, 0, [], [partition]];
    expect(messageOf(() => describeTopicsApi.decodeResponse([[described]]))).toMatch(
      /response\.topics\[0\]\.partitions\[0\]\.state: expected one of online, offline, damaged, got "asl/,
    );
  });

  test('in a flat list, by its row', () => {
    const decode = (flat: unknown[]) => () =>
      metadataApi.decodeResponse(['c', [], [[0, 'orders', topicId, flat]]]);
    expect(messageOf(decode([0, 1, 2, 1, 'x', 2]))).toMatch(
      /metadata response\.topics\[0\]\.partitions\[1\]\.leader: expected an integer .* got "x"$/,
    );
    expect(messageOf(decode([0, 1, 2, 1]))).toMatch(
      /topics\[0\]\.partitions: expected a list of 3 values for each row, got a list of 4$/,
    );
  });

  test('acks that are a number but not 0, 1 or -1, with an error of their own', () => {
    expect(messageOf(() => produceApi.decodeRequest([2, 0, []]))).toBe(
      'INVALID_REQUIRED_ACKS produce.acks: expected 0, 1 or -1 (all), got 2',
    );
    expect(messageOf(() => produceApi.decodeRequest(['all', 0, []]))).toMatch(/^INVALID_REQUEST/);
  });

  test('numbers that are not safe integers', () => {
    const offset = (value: number) => () =>
      fetchApi.decodeRequest([0, 0, 0, [[topicId, 0, value, 0]]]);
    expect(messageOf(offset(2 ** 53 - 1))).toBe('nothing was thrown');
    expect(messageOf(offset(2 ** 53))).toMatch(/offset: .* to 9007199254740991, got 90071992547/);
    expect(messageOf(offset(-1))).toMatch(/entries\[0\]\.offset: expected an integer from 0/);
    const time = (value: number) => () => listOffsetsApi.decodeRequest([[[topicId, 0, value]]]);
    expect(messageOf(time(-2))).toBe('nothing was thrown');
    expect(messageOf(time(-3))).toMatch(/timestampMs: expected an integer from -2/);
  });

  test('binary data that is none, or too long', () => {
    const protocolRow = (metadata: unknown) => () =>
      joinGroupApi.decodeRequest(['g', '', null, 'c', 1, 1, 'consumer', [['range', metadata]]]);
    expect(messageOf(protocolRow(Buffer.alloc(MAX_GROUP_METADATA_BYTES)))).toBe(
      'nothing was thrown',
    );
    expect(messageOf(protocolRow(Buffer.alloc(MAX_GROUP_METADATA_BYTES + 1)))).toBe(
      'INVALID_REQUEST joinGroup.protocols[0].metadata: ' +
        'expected at most 1048576 bytes of binary data, got 1048577 bytes',
    );
    expect(messageOf(protocolRow('bytes'))).toMatch(/of binary data, got "bytes"$/);
  });

  test('a flag that is neither 0 nor 1', () => {
    expect(alterTopicConfigsApi.decodeRequest([[], 1]).validateOnly).toBe(true);
    for (const flag of [2, -1, true, null]) {
      expect(messageOf(() => alterTopicConfigsApi.decodeRequest([[], flag]))).toMatch(
        /^INVALID_REQUEST alterTopicConfigs\.validateOnly: expected an integer from 0 to 1, got/,
      );
    }
  });

  test('-0 is 0', () => {
    const request = fetchApi.decodeRequest([-0, 0, 0, []]);
    expect(Object.is(request.maxWaitMs, 0)).toBe(true);
  });
});

describe('lists are bounded', () => {
  test('by MAX_ENTRIES rows', () => {
    const rows = new Array<unknown>(MAX_ENTRIES).fill([topicId, 0, 1]);
    expect(produceApi.decodeRequest([1, 0, rows]).entries).toHaveLength(MAX_ENTRIES);
    expect(messageOf(() => produceApi.decodeRequest([1, 0, [...rows, rows[0]]]))).toBe(
      'INVALID_REQUEST produce.entries: expected a list of at most 10000 rows, got a list of 10001',
    );
  });

  test('and the largest that clients and brokers exchange fit into a header', () => {
    const partitions = Array.from({ length: 2_000 }, (_, partition) => ({
      partition,
      leader: 0,
      leaderEpoch: 1_000,
    }));
    const topics = Array.from({ length: 10 }, (_, index) => ({
      errorCode: 0,
      name: `topic-${index}`,
      topicId,
      partitions,
    }));
    const message = { clusterId: 'c', nodes: [{ nodeId: 0, host: '', port: 1 }], topics };
    const frame = decodeFrame(encodeResponseFrame(metadataApi, 1, message));
    expect(metadataApi.decodeResponse(frame.fields.slice(2))).toEqual(message);
  });
});

describe('lists that may be longer fit into a header', () => {
  test('of groups', () => {
    const group = { groupId: 'g', protocolType: 'consumer', memberCount: 1 };
    const groups = new Array<ListedGroup>(MAX_LISTED_GROUPS).fill({ ...group, state: 'Stable' });
    const frame = decodeFrame(encodeResponseFrame(listGroupsApi, 1, { groups, more: true }));
    expect(listGroupsApi.decodeResponse(frame.fields.slice(2)).groups).toHaveLength(10_000);
  });

  test('of committed offsets', () => {
    const row = { topicId, topic: 't', partition: 0, errorCode: 0, errorMessage: null };
    const offset = { ...row, offset: 1, leaderEpoch: 0, metadata: null, commitTimeMs: 1 };
    const entries = new Array<OffsetFetchResult>(MAX_FETCHED_OFFSETS).fill(offset);
    const frame = decodeFrame(encodeResponseFrame(offsetFetchApi, 1, { entries }));
    expect(offsetFetchApi.decodeResponse(frame.fields.slice(2)).entries).toHaveLength(25_000);
  });
});

test('fields of any kind cause nothing but a ProtocolError', () => {
  const value = fc.letrec<{ field: unknown }>((tie) => ({
    field: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(null, true, 0, -1, 7, topicId, 'online', '', Buffer.alloc(3)),
      fc.double(),
      fc.string(),
      fc.array(tie('field'), { maxLength: 9 }),
    ),
  })).field;
  const property = fc.property(fc.array(value, { maxLength: 8 }), (fields) => {
    for (const api of apis) {
      messageOf(() => api.decodeRequest(fields));
      messageOf(() => api.decodeResponse(fields));
    }
  });
  fc.assert(property, { numRuns: 1_000 });
});
