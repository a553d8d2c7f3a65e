import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readInt32, readPartitionKey, readRowError, readSafe } from './common.js';
import type { MemberKey, PartitionKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** How far a group has come in a partition. */
export interface OffsetCommitEntry extends PartitionKey {
  /** The offset of the next record to handle. */
  readonly offset: number;
  /** That of the last record that was handled; -1 = not known. */
  readonly leaderEpoch: number;
  /** Whatever the consumer wants to keep beside the offset; the broker has a limit. */
  readonly metadata: string | null;
}

/** Offsets to keep for a group. An empty `memberId` with generation -1 is not a member. */
export interface OffsetCommitRequest extends MemberKey {
  readonly groupId: string;
  /** -1 = not of a member. */
  readonly generation: number;
  readonly entries: readonly OffsetCommitEntry[];
}

/** How the commit of one offset went. */
export interface OffsetCommitResult extends PartitionKey, RowError {}

/** One row for each row of the request, in its order. */
export interface OffsetCommitResponse {
  readonly entries: readonly OffsetCommitResult[];
}

/**
 * Commits offsets of a group; answered when they are as durable as records with `acks` all.
 *
 * ```
 * request  => groupId memberId generation groupInstanceId [entry]
 *   groupId          string
 *   memberId         string
 *   generation       int32 ≥ -1
 *   groupInstanceId  string | nil
 *   entry            [topicId, partition int32 ≥ 0, offset int ≥ 0, leaderEpoch int32 ≥ -1,
 *                     metadata string | nil]
 * response => [entry]
 *   entry            [topicId, partition int32 ≥ 0, errorCode int16, errorMessage string | nil]
 * ```
 */
export const offsetCommitApi: Api<OffsetCommitRequest, OffsetCommitResponse> = {
  apiKey: 8,
  name: 'offsetCommit',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ groupId, memberId, generation, groupInstanceId, entries }): Field[] {
    const rows = entries.map((entry) => [
      entry.topicId,
      entry.partition,
      entry.offset,
      entry.leaderEpoch,
      entry.metadata,
    ]);
    return [groupId, memberId, generation, groupInstanceId, rows];
  },

  decodeRequest(fields): OffsetCommitRequest {
    const reader = new FieldReader(fields, 'offsetCommit');
    const groupId = reader.string('groupId');
    const memberId = reader.string('memberId');
    const generation = readInt32(reader, 'generation', -1);
    const groupInstanceId = reader.nullableString('groupInstanceId');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      ...readPartitionKey(row),
      offset: readSafe(row, 'offset', 0),
      leaderEpoch: readInt32(row, 'leaderEpoch', -1),
      metadata: row.nullableString('metadata'),
    }));
    reader.end();
    return { groupId, memberId, generation, groupInstanceId, entries };
  },

  encodeResponse({ entries }): Field[] {
    const rows = entries.map(({ topicId, partition, errorCode, errorMessage }) => [
      topicId,
      partition,
      errorCode,
      boundedMessage(errorMessage),
    ]);
    return [rows];
  },

  decodeResponse(fields): OffsetCommitResponse {
    const reader = new FieldReader(fields, 'offsetCommit response');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      ...readPartitionKey(row),
      ...readRowError(row),
    }));
    reader.end();
    return { entries };
  },
};
