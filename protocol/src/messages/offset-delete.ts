import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readPartitionKey, readRowError } from './common.js';
import type { PartitionKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** Committed offsets that a group is to forget. */
export interface OffsetDeleteRequest {
  readonly groupId: string;
  readonly entries: readonly PartitionKey[];
}

/** How it went for one partition: `GROUP_SUBSCRIBED_TO_TOPIC` while a member consumes it. */
export interface OffsetDeleteResult extends PartitionKey, RowError {}

/** One row for each row of the request, in its order. */
export interface OffsetDeleteResponse {
  readonly entries: readonly OffsetDeleteResult[];
}

/**
 * Deletes committed offsets of a group.
 *
 * ```
 * request  => groupId [entry]
 *   groupId    string
 *   entry      [topicId, partition int32 ≥ 0]
 * response => [entry]
 *   entry      [topicId, partition int32 ≥ 0, errorCode int16, errorMessage string | nil]
 * ```
 */
export const offsetDeleteApi: Api<OffsetDeleteRequest, OffsetDeleteResponse> = {
  apiKey: 47,
  name: 'offsetDelete',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ groupId, entries }): Field[] {
    return [groupId, entries.map(({ topicId, partition }) => [topicId, partition])];
  },

  decodeRequest(fields): OffsetDeleteRequest {
    const reader = new FieldReader(fields, 'offsetDelete');
    const groupId = reader.string('groupId');
    const entries = reader.rows('entries', MAX_ENTRIES, readPartitionKey);
    reader.end();
    return { groupId, entries };
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

  decodeResponse(fields): OffsetDeleteResponse {
    const reader = new FieldReader(fields, 'offsetDelete response');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      ...readPartitionKey(row),
      ...readRowError(row),
    }));
    reader.end();
    return { entries };
  },
};
