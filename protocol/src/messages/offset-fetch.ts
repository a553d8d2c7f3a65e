import type { Field } from '../header.js';
import { MAX_ENTRIES, MAX_FETCHED_OFFSETS } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readInt32, readPartitionKey, readRowError, readSafe } from './common.js';
import type { PartitionKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** Which committed offsets of a group are wanted. */
export interface OffsetFetchRequest {
  readonly groupId: string;
  /** null = every partition that the group has an offset for. */
  readonly entries: readonly PartitionKey[] | null;
}

/** What a group has committed for a partition. */
export interface OffsetFetchResult extends PartitionKey, RowError {
  /** The topic's name; empty = the topic is no more. */
  readonly topic: string;
  /** The offset of the next record to handle; -1 = none was committed. */
  readonly offset: number;
  /** That of the last record that was handled; -1 = not known. */
  readonly leaderEpoch: number;
  readonly metadata: string | null;
  /** Unix time in ms at which it was committed; -1 = none was. */
  readonly commitTimeMs: number;
}

/** One row for each row of the request, in its order, or one for each offset there is. */
export interface OffsetFetchResponse {
  readonly entries: readonly OffsetFetchResult[];
}

/**
 * Tells what a group has committed.
 *
 * ```
 * request  => groupId entries
 *   groupId    string
 *   entries    [[topicId, partition int32 ≥ 0]] | nil (all)
 * response => [entry]
 *   entry      [topicId, topic string, partition int32 ≥ 0, errorCode int16,
 *               errorMessage string | nil, offset int ≥ -1, leaderEpoch int32 ≥ -1,
 *               metadata string | nil, commitTimeMs int ≥ -1]
 * ```
 */
export const offsetFetchApi: Api<OffsetFetchRequest, OffsetFetchResponse> = {
  apiKey: 9,
  name: 'offsetFetch',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ groupId, entries }): Field[] {
    if (entries === null) return [groupId, null];
    return [groupId, entries.map(({ topicId, partition }) => [topicId, partition])];
  },

  decodeRequest(fields): OffsetFetchRequest {
    const reader = new FieldReader(fields, 'offsetFetch');
    const groupId = reader.string('groupId');
    const entries = reader.nullableRows('entries', MAX_ENTRIES, readPartitionKey);
    reader.end();
    return { groupId, entries };
  },

  encodeResponse({ entries }): Field[] {
    const rows = entries.map((entry) => [
      entry.topicId,
      entry.topic,
      entry.partition,
      entry.errorCode,
      boundedMessage(entry.errorMessage),
      entry.offset,
      entry.leaderEpoch,
      entry.metadata,
      entry.commitTimeMs,
    ]);
    return [rows];
  },

  decodeResponse(fields): OffsetFetchResponse {
    const reader = new FieldReader(fields, 'offsetFetch response');
    const entries = reader.rows('entries', MAX_FETCHED_OFFSETS, (row) => ({
      topicId: row.topicId('topicId'),
      topic: row.string('topic'),
      partition: readInt32(row, 'partition', 0),
      ...readRowError(row),
      offset: readSafe(row, 'offset', -1),
      leaderEpoch: readInt32(row, 'leaderEpoch', -1),
      metadata: row.nullableString('metadata'),
      commitTimeMs: readSafe(row, 'commitTimeMs', -1),
    }));
    reader.end();
    return { entries };
  },
};
