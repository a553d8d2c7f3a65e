import { describe, expect, test } from '@jest/globals';
import type { StoredGroup } from '../../../broker/src/groups/group-store.js';
import {
  encodeCommitKey,
  encodeCommitValue,
  encodeGroupKey,
  encodeGroupValue,
} from '../../../broker/src/groups/offsets-codec.js';
import { OffsetsRecord } from '../../../broker/src/groups/offsets-record.js';
import { seededRandom, testSeed } from '../../support/seed.js';

const topicId = '00112233445566778899aabbccddeeff';
const group: StoredGroup = {
  groupId: 'g',
  protocolType: 'consumer',
  protocolName: 'range',
  generation: 7,
  leaderId: 'm1',
  stateTimeMs: 1_700_000_000_000,
  members: [
    {
      memberId: 'm1',
      groupInstanceId: null,
      clientId: 'c',
      clientHost: '::1',
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 60_000,
      protocols: [{ name: 'range', metadata: Buffer.from([1, 2]) }],
      assignment: Buffer.from([3]),
    },
  ],
};
const commit = { offset: 2 ** 40 + 5, leaderEpoch: 3, commitTimeMs: 1_700_000_000_000 };

/** Reads a record the way the loader does: from somewhere within a larger buffer. */
function read(key: Buffer | null, value: Buffer | null, into = new OffsetsRecord()): OffsetsRecord {
  const problem = problemOf(key, value, into);
  if (problem !== undefined) throw new Error(problem);
  return into;
}

function problemOf(
  key: Buffer | null,
  value: Buffer | null,
  record = new OffsetsRecord(),
): string | undefined {
  const bytes = Buffer.concat([Buffer.alloc(3, 9), key ?? noBytes, value ?? noBytes]);
  const keyLength = key?.length ?? -1;
  return record.read(bytes, 3, keyLength, 3 + Math.max(keyLength, 0), value?.length ?? -1);
}
const noBytes = Buffer.alloc(0);

describe('the layout is', () => {
  test.each([
    ['a key of a commit', encodeCommitKey('gö', topicId, 5), `0000000367c3b6${topicId}00000005`],
    ['a key of a group', encodeGroupKey('g'), '0001000167'],
    [
      'a commit without metadata',
      encodeCommitValue({ ...commit, metadata: null }),
      '00000001000000000500000003' + '0000018bcfe56800ffff',
    ],
    [
      'a commit with metadata',
      encodeCommitValue({ offset: 1, leaderEpoch: -1, commitTimeMs: 0, metadata: 'hi' }),
      '000000000000000001ffffffff000000000000000000026869',
    ],
    [
      'a group',
      encodeGroupValue(group),
      '00' +
        '0008636f6e73756d6572' +
        '000572616e6765' +
        '00000007' +
        '00026d31' +
        '0000018bcfe56800' +
        '00000001' +
        '00026d31' +
        'ffff' +
        '000163' +
        '00033a3a31' +
        '00007530' +
        '0000ea60' +
        '00000001' +
        '000572616e6765' +
        '000000020102' +
        '0000000103',
    ],
    [
      'an empty group',
      encodeGroupValue({ ...group, protocolName: null, leaderId: null, members: [] }),
      '000008636f6e73756d6572ffff00000007ffff0000018bcfe5680000000000',
    ],
  ] as const)('%s', (_name, encoded, hex) => {
    expect(encoded.toString('hex')).toBe(hex);
  });
});

describe('what was encoded is read again:', () => {
  test('a commit', () => {
    for (const metadata of [null, '', 'é'.repeat(2_000)]) {
      const record = read(
        encodeCommitKey('gö', topicId, 5),
        encodeCommitValue({ ...commit, metadata }),
      );
      expect(record).toMatchObject({ kind: 'commit', groupId: 'gö', topicId, partition: 5 });
      expect(record).toMatchObject({ ...commit, metadata, tombstone: false });
    }
  });

  test('a group', () => {
    const record = read(encodeGroupKey('g'), encodeGroupValue(group));
    expect(record.kind).toBe('group');
    expect(record.group).toEqual(group);
  });

  test('what a null value removes', () => {
    const record = read(encodeGroupKey('g'), encodeGroupValue(group));
    read(encodeGroupKey('other'), null, record);
    expect(record).toMatchObject({ kind: 'group', groupId: 'other', tombstone: true });
    expect(record.group).toBeUndefined();
    read(encodeCommitKey('g', topicId, 1), null, record);
    expect(record).toMatchObject({ kind: 'commit', tombstone: true, topicId, partition: 1 });
  });

  test('nothing of a group refers to the bytes it was read from', () => {
    const [key, value] = [encodeGroupKey('g'), encodeGroupValue(group)];
    const bytes = Buffer.concat([key, value]);
    const record = new OffsetsRecord();
    expect(record.read(bytes, 0, key.length, key.length, value.length)).toBeUndefined();
    bytes.fill(0xee);
    expect(record.group).toEqual(group);
  });
});

describe('a record is refused, and said why,', () => {
  const key = encodeCommitKey('g', topicId, 5);
  const value = encodeCommitValue({ ...commit, metadata: 'm' });
  const withByte = (bytes: Buffer, at: number, byte: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = byte;
    return copy;
  };
  test.each([
    ['without a key', null, value, 'it has no key'],
    ['with a key of a few bytes', Buffer.from([0, 0, 0]), value, 'its key is too short'],
    ['of another key version', withByte(key, 0, 9), value, 'its key has version 9; known is 0'],
    ['of another kind', withByte(key, 1, 7), value, 'its key is of unknown kind 7'],
    ['with an empty group id', encodeGroupKey(''), null, 'its key of 4 bytes does not fit'],
    ['with a longer key', Buffer.concat([key, noBytes, Buffer.alloc(1)]), value, 'does not fit'],
    ['with a group id that is no text', withByte(key, 4, 0xff), value, 'its group id is not UTF-8'],
    ['with a negative partition', withByte(key, 21, 0x80), value, 'its key names partition'],
    ['with an empty value', key, noBytes, 'its value is empty'],
    ['of another value version', key, withByte(value, 0, 1), 'its value has version 1; known is 0'],
    ['with a short value', key, value.subarray(0, 10), 'its value is too short'],
    ['with an unsafe offset', key, withByte(value, 1, 0x7f), 'its offset is'],
    ['with a negative offset', key, withByte(value, 1, 0xff), 'its offset is'],
    ['with a longer value', key, Buffer.concat([value, noBytes, key]), 'does not fit its metadata'],
    ['with metadata that is no text', key, withByte(value, 23, 0xff), 'its metadata is not UTF-8'],
  ] as const)('%s', (_name, badKey, badValue, problem) => {
    expect(problemOf(badKey, badValue)).toContain(problem);
  });

  test('for each byte that a group is too short, or too long', () => {
    const whole = encodeGroupValue(group);
    for (let length = 1; length < whole.length; length += 1) {
      expect(problemOf(encodeGroupKey('g'), whole.subarray(0, length))).toContain('cannot be read');
    }
    const longer = Buffer.concat([whole, Buffer.alloc(1)]);
    expect(problemOf(encodeGroupKey('g'), longer)).toContain('1 bytes are left over');
  });

  test('a text that is too long is refused when it is written', () => {
    const metadata = 'x'.repeat(32_768);
    expect(() => encodeCommitValue({ ...commit, metadata })).toThrow('at most 32767');
    expect(() => encodeGroupValue({ ...group, leaderId: metadata })).toThrow('at most 32767');
  });
});

test('garbage never throws, nor does a record with some bytes changed', () => {
  const random = seededRandom(testSeed());
  const below = (limit: number): number => Math.floor(random() * limit);
  const record = new OffsetsRecord();
  const samples = [
    [encodeCommitKey('group', topicId, 5), encodeCommitValue({ ...commit, metadata: 'meta' })],
    [encodeGroupKey('group'), encodeGroupValue(group)],
  ] as const;
  for (let round = 0; round < 20_000; round += 1) {
    const [key, value] = (samples[below(2)] ?? samples[0]).map((bytes) => {
      if (below(10) === 0) return Buffer.from(Array.from({ length: below(60) }, () => below(256)));
      const changed = Buffer.from(bytes);
      for (let n = below(3); n > 0; n -= 1) changed[below(changed.length)] = below(256);
      return changed.subarray(0, below(8) === 0 ? below(changed.length) : changed.length);
    });
    const problem = problemOf(key ?? null, value ?? null, record);
    if (problem !== undefined) continue;
    // What is accepted is written again as it was read.
    const { groupId, kind, partition, topicId: id } = record;
    const again =
      kind === 'commit' ? encodeCommitKey(groupId, id, partition) : encodeGroupKey(groupId);
    expect(again.equals(key ?? noBytes)).toBe(true);
    const stored = record.group === undefined ? noBytes : encodeGroupValue(record.group);
    const expected = kind === 'commit' ? encodeCommitValue(record) : stored;
    expect(expected.equals(value ?? noBytes)).toBe(true);
  }
});
