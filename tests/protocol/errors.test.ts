import { describe, expect, test } from '@jest/globals';
import { errorNameOf, errorTable, ProtocolError } from '../../protocol/src/errors.js';
import type { ErrorEntry, ErrorName } from '../../protocol/src/errors.js';

const rows = Object.entries(errorTable) as [ErrorName, ErrorEntry][];

describe('the error table', () => {
  test('is closed: exactly these names, codes and retriable flags', () => {
    const summary = rows.map(([name, { code, retriable }]) => [name, code, retriable]);
    expect(summary).toEqual([
      ['UNKNOWN_SERVER_ERROR', -1, false],
      ['NONE', 0, false],
      ['OFFSET_OUT_OF_RANGE', 1, false],
      ['CORRUPT_MESSAGE', 2, false],
      ['UNKNOWN_TOPIC_OR_PARTITION', 3, true],
      ['NOT_LEADER_OR_FOLLOWER', 6, true],
      ['REQUEST_TIMED_OUT', 7, true],
      ['MESSAGE_TOO_LARGE', 10, false],
      ['OFFSET_METADATA_TOO_LARGE', 12, false],
      ['COORDINATOR_LOAD_IN_PROGRESS', 14, true],
      ['COORDINATOR_NOT_AVAILABLE', 15, true],
      ['NOT_COORDINATOR', 16, true],
      ['INVALID_TOPIC', 17, false],
      ['INVALID_REQUIRED_ACKS', 21, false],
      ['ILLEGAL_GENERATION', 22, false],
      ['INCONSISTENT_GROUP_PROTOCOL', 23, false],
      ['INVALID_GROUP_ID', 24, false],
      ['UNKNOWN_MEMBER_ID', 25, false],
      ['INVALID_SESSION_TIMEOUT', 26, false],
      ['REBALANCE_IN_PROGRESS', 27, false],
      ['INVALID_TIMESTAMP', 32, false],
      ['UNSUPPORTED_VERSION', 35, false],
      ['TOPIC_ALREADY_EXISTS', 36, false],
      ['INVALID_PARTITIONS', 37, false],
      ['INVALID_CONFIG', 40, false],
      ['INVALID_REQUEST', 42, false],
      ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 43, false],
      ['POLICY_VIOLATION', 44, false],
      ['OUT_OF_ORDER_SEQUENCE_NUMBER', 45, false],
      ['DUPLICATE_SEQUENCE_NUMBER', 46, false],
      ['INVALID_PRODUCER_EPOCH', 47, false],
      ['STORAGE_ERROR', 56, true],
      ['UNKNOWN_PRODUCER_ID', 59, false],
      ['NON_EMPTY_GROUP', 68, false],
      ['GROUP_ID_NOT_FOUND', 69, false],
      ['FENCED_LEADER_EPOCH', 74, true],
      ['UNKNOWN_LEADER_EPOCH', 75, true],
      ['UNSUPPORTED_COMPRESSION_TYPE', 76, false],
      ['MEMBER_ID_REQUIRED', 79, false],
      ['GROUP_MAX_SIZE_REACHED', 81, false],
      ['FENCED_INSTANCE_ID', 82, false],
      ['GROUP_SUBSCRIBED_TO_TOPIC', 86, false],
      ['INVALID_RECORD', 87, false],
      ['UNKNOWN_TOPIC_ID', 100, true],
      ['UNKNOWN_API', 1001, false],
      ['FRAME_TOO_LARGE', 1002, false],
      ['MALFORMED_HEADER', 1003, false],
      ['CORRUPT_LOG', 1004, false],
      ['DISK_FULL', 1005, true],
      ['PARTITION_OFFLINE', 1006, false],
      ['SHUTTING_DOWN', 1007, true],
      ['OVERLOADED', 1008, true],
      ['LIMIT_EXCEEDED', 1009, false],
      ['NOT_PARTITION_OWNER', 1010, false],
      ['INVALID_ASSIGNMENT', 1011, false],
    ]);
  });

  test('has each code once, and a message in every row', () => {
    expect(new Set(rows.map(([, row]) => row.code)).size).toBe(rows.length);
    for (const [, row] of rows) expect(row.message).toMatch(/\S.*\.$/);
  });

  test('finds names by code', () => {
    for (const [name, { code }] of rows) expect(errorNameOf(code)).toBe(name);
    expect(errorNameOf(4711)).toBeUndefined();
  });
});

describe('ProtocolError', () => {
  test.each(rows)('%s survives the way over its code', (name, row) => {
    const error = ProtocolError.fromCode(row.code, 'what happened');
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ ...row, errorName: name, message: 'what happened' });
    expect(error.name).toBe('ProtocolError');
    expect(ProtocolError.fromCode(row.code).message).toBe(row.message);
    expect(ProtocolError.fromCode(row.code, null).message).toBe(row.message);
  });

  test('names a code that it does not know', () => {
    const error = ProtocolError.fromCode(4711, 'from the future');
    expect(error.errorName).toBe('UNKNOWN_SERVER_ERROR');
    expect(error.message).toMatch(/4711.*from the future/);
    expect(ProtocolError.fromCode(4711).message).toMatch(/4711/);
  });

  test('keeps its cause', () => {
    const cause = new Error('EIO');
    expect(new ProtocolError('STORAGE_ERROR', undefined, { cause }).cause).toBe(cause);
  });
});
