import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readErrorCode, readErrorMessage, readInt32, readSafe } from './common.js';
import type { PartitionKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** Asks for the end of the partition: the offset that the next record will have. */
export const END_TIMESTAMP = -1;
/** Asks for the beginning of the partition: the first offset that can be read. */
export const BEGINNING_TIMESTAMP = -2;

/** Which offset of a partition is wanted. */
export interface ListOffsetsEntry extends PartitionKey {
  /** Unix time in ms: the first record at or after it; or one of the two constants. */
  readonly timestampMs: number;
}

/** Offsets that are wanted. */
export interface ListOffsetsRequest {
  readonly entries: readonly ListOffsetsEntry[];
}

/** The offset that was asked for. */
export interface ListOffsetsResult extends PartitionKey, RowError {
  /** -1 = there is no such record. */
  readonly offset: number;
  /** Unix time in ms of the record at `offset`; -1 = none. */
  readonly timestampMs: number;
  /** -1 = not known. */
  readonly leaderEpoch: number;
}

/** One row for each row of the request, in its order. */
export interface ListOffsetsResponse {
  readonly entries: readonly ListOffsetsResult[];
}

/**
 * Finds offsets: the end, the beginning, or by time.
 *
 * ```
 * request  => [entry]
 *   entry      [topicId, partition int32 ≥ 0, timestampMs int ≥ -2]
 * response => [entry]
 *   entry      [topicId, partition int32 ≥ 0, errorCode int16, errorMessage string | nil,
 *               offset int ≥ -1, timestampMs int ≥ -1, leaderEpoch int32 ≥ -1]
 * ```
 */
export const listOffsetsApi: Api<ListOffsetsRequest, ListOffsetsResponse> = {
  apiKey: 2,
  name: 'listOffsets',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ entries }): Field[] {
    return [entries.map((entry) => [entry.topicId, entry.partition, entry.timestampMs])];
  },

  decodeRequest(fields): ListOffsetsRequest {
    const reader = new FieldReader(fields, 'listOffsets');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      topicId: row.topicId('topicId'),
      partition: readInt32(row, 'partition', 0),
      timestampMs: readSafe(row, 'timestampMs', BEGINNING_TIMESTAMP),
    }));
    reader.end();
    return { entries };
  },

  encodeResponse({ entries }): Field[] {
    const rows = entries.map((entry) => [
      entry.topicId,
      entry.partition,
      entry.errorCode,
      boundedMessage(entry.errorMessage),
      entry.offset,
      entry.timestampMs,
      entry.leaderEpoch,
    ]);
    return [rows];
  },

  decodeResponse(fields): ListOffsetsResponse {
    const reader = new FieldReader(fields, 'listOffsets response');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      topicId: row.topicId('topicId'),
      partition: readInt32(row, 'partition', 0),
      errorCode: readErrorCode(row),
      errorMessage: readErrorMessage(row),
      offset: readSafe(row, 'offset', -1),
      timestampMs: readSafe(row, 'timestampMs', -1),
      leaderEpoch: readInt32(row, 'leaderEpoch', -1),
    }));
    reader.end();
    return { entries };
  },
};
