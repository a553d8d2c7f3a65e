import type { StoredGroup, StoredMember } from './group-store.js';
import {
  COMMIT_KEY_SUFFIX_BYTES,
  COMMIT_KIND,
  COMMIT_VALUE_PREFIX_BYTES,
  COMMIT_VALUE_VERSION,
  GROUP_KIND,
  GROUP_VALUE_VERSION,
  KEY_PREFIX_BYTES,
  KEY_VERSION,
  TOPIC_ID_BYTES,
} from './offsets-codec.js';
import { int64At, StoredFields, textAt } from './offsets-fields.js';

/** The least that a stored member, and a protocol of one, take. */
const MIN_MEMBER_BYTES = 4 * 2 + 4 * 4;
const MIN_PROTOCOL_BYTES = 2 + 4;

/**
 * One record of `__offsets`, read out of the bytes of a batch. It is filled again and again, because
 * a million of them are read at start-up; the layout is with `offsets-codec.ts`.
 */
export class OffsetsRecord {
  kind: 'commit' | 'group' = 'commit';
  groupId = '';
  /** Whether the record removes what its key names; then only the key's fields are set. */
  tombstone = false;
  topicId = '';
  partition = 0;
  offset = 0;
  leaderEpoch = -1;
  commitTimeMs = 0;
  metadata: string | null = null;
  /** Of kind `group`. */
  group: StoredGroup | undefined;
  /** The topic id of the record before, in bytes: most often the same again. */
  readonly #topicBytes = Buffer.alloc(TOPIC_ID_BYTES);

  /**
   * Reads a record. Anything may be in there: what is wrong is returned, never thrown.
   *
   * @param keyLength -1 for a null key.
   * @param valueLength -1 for a null value.
   */
  read(
    bytes: Buffer,
    keyStart: number,
    keyLength: number,
    valueStart: number,
    valueLength: number,
  ): string | undefined {
    return (
      this.#readKey(bytes, keyStart, keyLength) ?? this.#readValue(bytes, valueStart, valueLength)
    );
  }

  #readKey(bytes: Buffer, start: number, length: number): string | undefined {
    if (length < KEY_PREFIX_BYTES) return length < 0 ? 'it has no key' : 'its key is too short';
    const version = bytes[start] ?? -1;
    if (version !== KEY_VERSION) return `its key has version ${version}; known is ${KEY_VERSION}`;
    const kind = bytes[start + 1] ?? -1;
    if (kind !== COMMIT_KIND && kind !== GROUP_KIND) return `its key is of unknown kind ${kind}`;
    const groupStart = start + KEY_PREFIX_BYTES;
    const groupEnd = groupStart + bytes.readInt16BE(start + 2);
    const suffixBytes = kind === COMMIT_KIND ? COMMIT_KEY_SUFFIX_BYTES : 0;
    if (groupEnd <= groupStart || groupEnd + suffixBytes !== start + length) {
      return `its key of ${length} bytes does not fit its group id`;
    }
    const groupId = textAt(bytes, groupStart, groupEnd);
    if (groupId === undefined) return 'its group id is not UTF-8';
    this.groupId = groupId;
    this.kind = kind === COMMIT_KIND ? 'commit' : 'group';
    if (kind === GROUP_KIND) return undefined;
    this.#readTopicId(bytes, groupEnd);
    this.partition = bytes.readInt32BE(groupEnd + TOPIC_ID_BYTES);
    return this.partition < 0 ? `its key names partition ${this.partition}` : undefined;
  }

  #readTopicId(bytes: Buffer, start: number): void {
    const before = this.#topicBytes;
    let same = this.topicId !== '';
    for (let at = 0; same && at < TOPIC_ID_BYTES; at += 4) {
      same = bytes.readInt32LE(start + at) === before.readInt32LE(at);
    }
    if (same) return;
    bytes.copy(before, 0, start, start + TOPIC_ID_BYTES);
    this.topicId = bytes.toString('hex', start, start + TOPIC_ID_BYTES);
  }

  #readValue(bytes: Buffer, start: number, length: number): string | undefined {
    this.tombstone = length < 0;
    if (this.tombstone) {
      this.group = undefined;
      return undefined;
    }
    if (length === 0) return 'its value is empty';
    const known = this.kind === 'commit' ? COMMIT_VALUE_VERSION : GROUP_VALUE_VERSION;
    const version = bytes[start] ?? -1;
    if (version !== known) return `its value has version ${version}; known is ${known}`;
    return this.kind === 'commit'
      ? this.#readCommit(bytes, start, length)
      : this.#readGroup(bytes, start, length);
  }

  #readCommit(bytes: Buffer, start: number, length: number): string | undefined {
    if (length < COMMIT_VALUE_PREFIX_BYTES) return 'its value is too short for a commit';
    this.offset = int64At(bytes, start + 1);
    this.leaderEpoch = bytes.readInt32BE(start + 9);
    this.commitTimeMs = int64At(bytes, start + 13);
    if (this.offset < 0 || !Number.isSafeInteger(this.offset))
      return `its offset is ${this.offset}`;
    if (this.leaderEpoch < -1) return `its leader epoch is ${this.leaderEpoch}`;
    if (this.commitTimeMs < 0 || !Number.isSafeInteger(this.commitTimeMs)) {
      return `its commit time is ${this.commitTimeMs}`;
    }
    const metadataBytes = bytes.readInt16BE(start + 21);
    const metadataStart = start + COMMIT_VALUE_PREFIX_BYTES;
    if (metadataBytes < -1 || COMMIT_VALUE_PREFIX_BYTES + Math.max(metadataBytes, 0) !== length) {
      return `its value of ${length} bytes does not fit its metadata`;
    }
    this.metadata = null;
    if (metadataBytes < 0) return undefined;
    const metadata = textAt(bytes, metadataStart, metadataStart + metadataBytes);
    if (metadata === undefined) return 'its metadata is not UTF-8';
    this.metadata = metadata;
    return undefined;
  }

  #readGroup(bytes: Buffer, start: number, length: number): string | undefined {
    const fields = new StoredFields(bytes, start + 1, start + length);
    const group: StoredGroup = {
      groupId: this.groupId,
      protocolType: fields.text('protocolType'),
      protocolName: fields.nullableText('protocolName'),
      generation: fields.int32('generation', -1),
      leaderId: fields.nullableText('leaderId'),
      stateTimeMs: fields.int64('stateTimeMs', 0),
      members: rows(fields, 'members', MIN_MEMBER_BYTES, readMember),
    };
    fields.finish();
    if (fields.problem !== undefined) return `its group cannot be read: ${fields.problem}`;
    this.group = group;
    return undefined;
  }
}

function readMember(fields: StoredFields): StoredMember {
  return {
    memberId: fields.text('memberId'),
    groupInstanceId: fields.nullableText('groupInstanceId'),
    clientId: fields.text('clientId'),
    clientHost: fields.text('clientHost'),
    sessionTimeoutMs: fields.int32('sessionTimeoutMs', 0),
    rebalanceTimeoutMs: fields.int32('rebalanceTimeoutMs', 0),
    protocols: rows(fields, 'protocols', MIN_PROTOCOL_BYTES, (row) => ({
      name: row.text('protocol name'),
      metadata: row.blob('protocol metadata'),
    })),
    assignment: fields.blob('assignment'),
  };
}

function rows<Row>(
  fields: StoredFields,
  name: string,
  minBytes: number,
  read: (fields: StoredFields) => Row,
): Row[] {
  const list: Row[] = [];
  const count = fields.count(name, minBytes);
  for (let index = 0; index < count && fields.problem === undefined; index += 1) {
    list.push(read(fields));
  }
  return list;
}
