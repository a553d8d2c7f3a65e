import { ProtocolError } from '@millrace/protocol';
import type { StoredGroup, StoredMember } from './group-store.js';

/*
 * Records of `__offsets`. The key says what a record is about, so that compaction keeps the last
 * value of each; a null value removes it. All integers are big-endian; `text` is UTF-8 behind its
 * length in bytes as i16, -1 standing for null; `blob` is bytes behind their length as i32.
 *
 * ```text
 * key:    u8 version (0) · u8 kind · text groupId
 *         kind 0, a commit: · 16 bytes topic id · i32 partition
 *         kind 1, a group:  nothing more
 *
 * value of a commit:
 *         u8 version (0) · i64 offset · i32 leaderEpoch (-1: none) · i64 commitTimeMs
 *         · text|null metadata
 *
 * value of a group:
 *         u8 version (0) · text protocolType · text|null protocolName · i32 generation
 *         · text|null leaderId · i64 stateTimeMs · i32 members, each:
 *             text memberId · text|null groupInstanceId · text clientId · text clientHost
 *             · i32 sessionTimeoutMs · i32 rebalanceTimeoutMs
 *             · i32 protocols, each: text name · blob metadata
 *             · blob assignment
 * ```
 *
 * The version in a key is part of what compaction compares: it may only change together with a new
 * meaning of the key. That in a value may change with every new layout.
 */
export const KEY_VERSION = 0;
export const COMMIT_KIND = 0;
export const GROUP_KIND = 1;
export const COMMIT_VALUE_VERSION = 0;
export const GROUP_VALUE_VERSION = 0;

/** Bytes of a key before the group id. */
export const KEY_PREFIX_BYTES = 4;
export const TOPIC_ID_BYTES = 16;
/** Bytes of a commit's key behind the group id. */
export const COMMIT_KEY_SUFFIX_BYTES = TOPIC_ID_BYTES + 4;
/** Bytes of a commit's value before the metadata. */
export const COMMIT_VALUE_PREFIX_BYTES = 1 + 8 + 4 + 8 + 2;

const MAX_TEXT_BYTES = 0x7fff;

/** What is stored of a commit. */
export interface CommitValue {
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly commitTimeMs: number;
  readonly metadata: string | null;
}

/** @throws ProtocolError INVALID_REQUEST when the group id is longer than 32,767 bytes. */
export function encodeCommitKey(groupId: string, topicId: string, partition: number): Buffer {
  const groupBytes = textBytes(groupId);
  const key = Buffer.allocUnsafe(KEY_PREFIX_BYTES + groupBytes + COMMIT_KEY_SUFFIX_BYTES);
  const end = writeKeyStart(key, COMMIT_KIND, groupId, groupBytes);
  if (key.write(topicId, end, TOPIC_ID_BYTES, 'hex') !== TOPIC_ID_BYTES) {
    throw new RangeError(`${JSON.stringify(topicId)} is no topic id`);
  }
  key.writeInt32BE(partition, end + TOPIC_ID_BYTES);
  return key;
}

/** @throws ProtocolError INVALID_REQUEST when the group id is longer than 32,767 bytes. */
export function encodeGroupKey(groupId: string): Buffer {
  const groupBytes = textBytes(groupId);
  const key = Buffer.allocUnsafe(KEY_PREFIX_BYTES + groupBytes);
  writeKeyStart(key, GROUP_KIND, groupId, groupBytes);
  return key;
}

/** @throws ProtocolError INVALID_REQUEST when the metadata is longer than 32,767 bytes. */
export function encodeCommitValue(commit: CommitValue): Buffer {
  const { metadata } = commit;
  const metadataBytes = metadata === null ? -1 : textBytes(metadata);
  const value = Buffer.allocUnsafe(COMMIT_VALUE_PREFIX_BYTES + Math.max(metadataBytes, 0));
  value[0] = COMMIT_VALUE_VERSION;
  writeInt64(value, 1, commit.offset);
  value.writeInt32BE(commit.leaderEpoch, 9);
  writeInt64(value, 13, commit.commitTimeMs);
  value.writeInt16BE(metadataBytes, 21);
  if (metadata !== null) value.write(metadata, COMMIT_VALUE_PREFIX_BYTES);
  return value;
}

/** @throws ProtocolError INVALID_REQUEST when a text is longer than 32,767 bytes. */
export function encodeGroupValue(group: StoredGroup): Buffer {
  const parts: Buffer[] = [
    Buffer.from([GROUP_VALUE_VERSION]),
    text(group.protocolType),
    text(group.protocolName),
    int32(group.generation),
    text(group.leaderId),
    int64(group.stateTimeMs),
    int32(group.members.length),
  ];
  for (const member of group.members) encodeMember(parts, member);
  return Buffer.concat(parts);
}

function encodeMember(parts: Buffer[], member: StoredMember): void {
  parts.push(
    text(member.memberId),
    text(member.groupInstanceId),
    text(member.clientId),
    text(member.clientHost),
    int32(member.sessionTimeoutMs),
    int32(member.rebalanceTimeoutMs),
    int32(member.protocols.length),
  );
  for (const { name, metadata } of member.protocols) {
    parts.push(text(name), int32(metadata.length), metadata);
  }
  parts.push(int32(member.assignment.length), member.assignment);
}

function writeKeyStart(key: Buffer, kind: number, groupId: string, groupBytes: number): number {
  key[0] = KEY_VERSION;
  key[1] = kind;
  key.writeInt16BE(groupBytes, 2);
  key.write(groupId, KEY_PREFIX_BYTES);
  return KEY_PREFIX_BYTES + groupBytes;
}

function textBytes(value: string): number {
  const bytes = Buffer.byteLength(value);
  if (bytes <= MAX_TEXT_BYTES) return bytes;
  throw new ProtocolError(
    'INVALID_REQUEST',
    `${JSON.stringify(value.slice(0, 40))}… has ${bytes} bytes; at most ${MAX_TEXT_BYTES} are stored`,
  );
}

function text(value: string | null): Buffer {
  if (value === null) return Buffer.from([0xff, 0xff]);
  const bytes = Buffer.allocUnsafe(2 + textBytes(value));
  bytes.writeInt16BE(bytes.length - 2, 0);
  bytes.write(value, 2);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  writeInt64(bytes, 0, value);
  return bytes;
}

/** Writes a safe integer as 64 bits. */
function writeInt64(bytes: Buffer, position: number, value: number): void {
  bytes.writeInt32BE(Math.floor(value / 0x1_0000_0000), position);
  bytes.writeUInt32BE(value >>> 0, position + 4);
}
