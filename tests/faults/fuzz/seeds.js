/* Valid bytes to begin with: the golden files, and what our own encoders make. */
import { readdirSync, readFileSync } from 'node:fs';
import {
  BATCH_OVERHEAD_BYTES,
  decodeHeader,
  encodeAssignment,
  encodeSubscription,
  RecordBatchBuilder,
} from '@millrace/protocol';
import {
  encodeCommitKey,
  encodeCommitValue,
  encodeGroupKey,
  encodeGroupValue,
} from '../../../broker/dist/groups/offsets-codec.js';
import { encodePreviousAssignment } from '../../../client/dist/group/sticky-user-data.js';

const golden = new URL('../../golden/', import.meta.url);
const T0 = 1_700_000_000_000;
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
/** Far more than a reader of these tests allows. */
const BOMB_BYTES = 8 * 1024 * 1024;

const readJson = (path) => JSON.parse(readFileSync(new URL(path, golden), 'utf8'));
const fromHex = (hex) => Buffer.from([hex].flat().join('').replace(/\s/g, ''), 'hex');

/** Headers of all golden messages of that kind, `request` or `response`, with their API's key. */
export function messageHeaders(kind) {
  return readdirSync(new URL('messages/', golden)).flatMap((file) =>
    readJson(`messages/${file}`)
      .cases.filter(
        (entry) => entry.kind === kind || (kind === 'response' && entry.kind !== 'request'),
      )
      .map(({ hex }) => {
        const frame = fromHex(hex);
        const bytes = frame.subarray(8, 8 + frame.readUInt32BE(4));
        return { bytes, points: msgpackPoints(bytes), header: decodeHeader(bytes) };
      }),
  );
}

/** Where values begin: their type bytes, which for most of them tell lengths as well. */
function msgpackPoints(bytes) {
  const points = [];
  for (let at = 0; at < bytes.length;) {
    points.push(at);
    at += scalarBytes(bytes, at);
  }
  return points;
}

/** What a value takes; of an array its head only. */
function scalarBytes(bytes, at) {
  const type = bytes[at];
  if (type >= 0xa0 && type <= 0xbf) return 1 + (type & 0x1f);
  if (type === 0xd9 || type === 0xc4) return 2 + bytes[at + 1];
  if (type === 0xda || type === 0xc5) return 3 + bytes.readUInt16BE(at + 1);
  const widths = {
    0xcb: 8,
    0xcc: 1,
    0xcd: 2,
    0xce: 4,
    0xcf: 8,
    0xd0: 1,
    0xd1: 2,
    0xd2: 4,
    0xd3: 8,
  };
  return 1 + (widths[type] ?? { 0xdc: 2, 0xdd: 4 }[type] ?? 0);
}

/** Whole record batches of all codecs. */
export function batches() {
  const given = readJson('records/decode.json').batches.map(({ hex }) => fromHex(hex));
  const made = codecs.flatMap((compression) => [
    build(compression, 1, () => ({ value: 'v' })),
    build(compression, 12, (i) => ({
      key: i % 3 === 0 ? null : `key ${i}`,
      value: i % 4 === 0 ? null : `value ${i} `.repeat(i),
      headers:
        i % 2 === 0
          ? [
              ['trace', 'abc'],
              ['none', null],
            ]
          : null,
    })),
  ]);
  return [...given, ...made].map((bytes) => ({ bytes, points: batchPoints(bytes) }));
}

/** Small batches whose records unpack to much. */
export function bombs() {
  const value = Buffer.alloc(BOMB_BYTES);
  return codecs
    .filter((compression) => compression !== 'none')
    .map((compression) => build(compression, 1, () => ({ value })))
    .filter((bytes) => bytes.length <= 64 * 1024)
    .map((bytes) => ({ bytes, points: batchPoints(bytes) }));
}

function build(compression, count, recordOf) {
  const builder = new RecordBatchBuilder({ compression });
  for (let i = 0; i < count; i += 1) {
    const { key = null, value = null, headers = null } = recordOf(i);
    builder.append(key, value, headers, T0 + i);
  }
  return Buffer.from(builder.build({ producerId: 7, producerEpoch: 0, baseSequence: 3 }));
}

function batchPoints(bytes) {
  const header = [0, 4, 8, 12, 16, 17, 21, 22, 23, 27, 31, 35, 39, 43, 47, 51, 53, 57];
  const records = Array.from(
    { length: Math.min(48, bytes.length - BATCH_OVERHEAD_BYTES) },
    (_, index) => BATCH_OVERHEAD_BYTES + index,
  );
  return [...header, ...records];
}

/** `subscription` or `assignment` of the consumer protocol. */
export function memberBytes(kind) {
  const given = readJson('groups/consumer-protocol.json')
    .cases.filter((entry) => entry.kind === kind)
    .map(({ hex }) => fromHex(hex));
  const partitions = [
    { topic: 'orders', partitions: [0, 1, 2, 7] },
    { topic: 'bills', partitions: [] },
  ];
  const userData = previousAssignment();
  const made =
    kind === 'subscription'
      ? encodeSubscription({
          ...{ topics: ['orders', 'bills'], userData, owned: partitions },
          ...{ generation: 5, rackId: 'r1' },
        })
      : encodeAssignment({ partitions, userData });
  return [...given, made].map(plain);
}

/** Every byte may be a length here. */
function plain(bytes) {
  return { bytes, points: [...bytes.keys()].slice(0, 64) };
}

function previousAssignment() {
  const partitions = ['orders', 'bills'].flatMap((topic) =>
    [0, 1, 5].map((partition) => ({ topic, partition })),
  );
  return encodePreviousAssignment({ partitions, generation: 9 });
}

/** Found bad once: a name whose length leads back to a count of 0, and an empty topic beside it. */
const HOSTILE_USER_DATA = [
  '00ffffff000000000000fffa00000000',
  '0000000200016100000000000162000000000000000001',
];

/** What the `sticky` assignor tells itself through the group. */
export function stickyUserData() {
  const none = encodePreviousAssignment({ partitions: [], generation: 1 });
  return [previousAssignment(), none, ...HOSTILE_USER_DATA.map(fromHex)].map(plain);
}

/** Records of `__offsets`: u16 length of the key, the key, the value. */
export function offsetsRecords() {
  const member = {
    ...{ memberId: 'm-1', groupInstanceId: 'i', clientId: 'c', clientHost: '127.0.0.1' },
    ...{ sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 20_000, assignment: Buffer.from('abc') },
    protocols: [{ name: 'range', metadata: Buffer.from('xyz') }],
  };
  const group = {
    ...{ groupId: 'g', protocolType: 'consumer', protocolName: 'range', generation: 3 },
    ...{
      leaderId: 'm-1',
      stateTimeMs: T0,
      members: [member, { ...member, groupInstanceId: null }],
    },
  };
  const commit = { offset: 123_456, leaderEpoch: 2, commitTimeMs: T0, metadata: 'note' };
  const key = encodeCommitKey('billing', '0123456789abcdef'.repeat(2), 4);
  return [
    [key, encodeCommitValue(commit)],
    [key, encodeCommitValue({ ...commit, metadata: null })],
    [key, Buffer.alloc(0)],
    [encodeGroupKey('billing'), encodeGroupValue(group)],
  ].map(([first, second]) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(first.length);
    return plain(Buffer.concat([length, first, second]));
  });
}
