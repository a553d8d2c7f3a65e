import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readInt32, readPartitionKey, readRowError, readSafe } from './common.js';
import type { PartitionKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** As an offset: everything that consumers can see. */
export const HIGH_WATERMARK_OFFSET = -1;

/** Up to where a partition's records go. */
export interface DeleteRecordsEntry extends PartitionKey {
  /** The first record that stays; or {@link HIGH_WATERMARK_OFFSET}. */
  readonly offset: number;
}

/** Records to delete, each partition on its own. */
export interface DeleteRecordsRequest {
  readonly entries: readonly DeleteRecordsEntry[];
  readonly timeoutMs: number;
}

/** How it went for one partition. */
export interface DeleteRecordsResult extends PartitionKey, RowError {
  /** The first offset that can be read now; -1 with an error. */
  readonly logStartOffset: number;
}

/** One row for each row of the request, in its order. */
export interface DeleteRecordsResponse {
  readonly entries: readonly DeleteRecordsResult[];
}

/**
 * Deletes the records of partitions below an offset.
 *
 * ```
 * request  => [entry] timeoutMs
 *   entry      [topicId, partition int32 ≥ 0, offset int ≥ -1]
 *   timeoutMs  int32 ≥ 0
 * response => [entry]
 *   entry      [topicId, partition int32 ≥ 0, errorCode int16, errorMessage string | nil,
 *               logStartOffset int ≥ -1]
 * ```
 */
export const deleteRecordsApi: Api<DeleteRecordsRequest, DeleteRecordsResponse> = {
  apiKey: 21,
  name: 'deleteRecords',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ entries, timeoutMs }): Field[] {
    const rows = entries.map(({ topicId, partition, offset }) => [topicId, partition, offset]);
    return [rows, timeoutMs];
  },

  decodeRequest(fields): DeleteRecordsRequest {
    const reader = new FieldReader(fields, 'deleteRecords');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      ...readPartitionKey(row),
      offset: readSafe(row, 'offset', HIGH_WATERMARK_OFFSET),
    }));
    const timeoutMs = readInt32(reader, 'timeoutMs', 0);
    reader.end();
    return { entries, timeoutMs };
  },

  encodeResponse({ entries }): Field[] {
    const rows = entries.map((entry) => [
      entry.topicId,
      entry.partition,
      entry.errorCode,
      boundedMessage(entry.errorMessage),
      entry.logStartOffset,
    ]);
    return [rows];
  },

  decodeResponse(fields): DeleteRecordsResponse {
    const reader = new FieldReader(fields, 'deleteRecords response');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      ...readPartitionKey(row),
      ...readRowError(row),
      logStartOffset: readSafe(row, 'logStartOffset', -1),
    }));
    reader.end();
    return { entries };
  },
};
