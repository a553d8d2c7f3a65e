import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readErrorCode, readErrorMessage, readInt32, readSafe } from './common.js';
import type { PartitionKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** From where to read one partition. */
export interface FetchEntry extends PartitionKey {
  readonly offset: number;
  /** The most bytes for this partition; its first batch comes even if it is larger. */
  readonly maxBytes: number;
}

/** A long poll for record batches. */
export interface FetchRequest {
  /** How long the broker may wait for `minBytes`. */
  readonly maxWaitMs: number;
  readonly minBytes: number;
  /** The most bytes for all partitions together, with the same exception as in a row. */
  readonly maxBytes: number;
  readonly entries: readonly FetchEntry[];
}

/** What there is of one partition. */
export interface FetchResult extends PartitionKey, RowError {
  /** The offset after the last record that can be read; -1 with an error. */
  readonly highWatermark: number;
  /** The first offset of the partition; -1 = not known. */
  readonly logStartOffset: number;
  /** -1 = not known. */
  readonly leaderEpoch: number;
  /** Bytes of the payload that belong to this row; 0 = nothing new, or an error. */
  readonly byteLength: number;
  /** The base offset of the row's first batch, as the broker knows it; -1 = not known. */
  readonly firstOffset: number;
  /** Leader epochs that its batches may bear: from this one ... */
  readonly lowestEpoch: number;
  /** ... to this one; both -1 = not known. */
  readonly highestEpoch: number;
  /** Each batch of the row begins at the offset behind the one before. */
  readonly gapless: boolean;
}

/**
 * What a row without data says of its batches. Base offset and leader epoch lie outside of a batch's
 * checksum: a client that knows what they must be notices when a disk has changed them.
 */
export const NO_BATCHES = {
  firstOffset: -1,
  lowestEpoch: -1,
  highestEpoch: -1,
  gapless: false,
} as const;

/** The payload holds the record batches of each row, in the order of the rows. */
export interface FetchResponse {
  readonly entries: readonly FetchResult[];
}

/**
 * Reads record batches: whole ones, from the one that holds the offset on; so the first records
 * may be before the offset. Rows are served in their order while there is room: who asks again begins with those
 * that got nothing.
 *
 * ```
 * request  => maxWaitMs minBytes maxBytes [entry]
 *   maxWaitMs, minBytes, maxBytes  int32 ≥ 0
 *   entry      [topicId, partition int32 ≥ 0, offset int ≥ 0, maxBytes int32 ≥ 0]
 * response => [entry], payload: record batches
 *   entry      [topicId, partition int32 ≥ 0, errorCode int16, errorMessage string | nil,
 *               highWatermark int ≥ -1, logStartOffset int ≥ -1, leaderEpoch int32 ≥ -1,
 *               byteLength int32 ≥ 0, firstOffset int ≥ -1, lowestEpoch int32 ≥ -1,
 *               highestEpoch int32 ≥ -1, gapless 0 | 1]
 * ```
 */
export const fetchApi: Api<FetchRequest, FetchResponse> = {
  apiKey: 1,
  name: 'fetch',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ maxWaitMs, minBytes, maxBytes, entries }): Field[] {
    const rows = entries.map((row) => [row.topicId, row.partition, row.offset, row.maxBytes]);
    return [maxWaitMs, minBytes, maxBytes, rows];
  },

  decodeRequest(fields): FetchRequest {
    const reader = new FieldReader(fields, 'fetch');
    const maxWaitMs = readInt32(reader, 'maxWaitMs', 0);
    const minBytes = readInt32(reader, 'minBytes', 0);
    const maxBytes = readInt32(reader, 'maxBytes', 0);
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      topicId: row.topicId('topicId'),
      partition: readInt32(row, 'partition', 0),
      offset: readSafe(row, 'offset', 0),
      maxBytes: readInt32(row, 'maxBytes', 0),
    }));
    reader.end();
    return { maxWaitMs, minBytes, maxBytes, entries };
  },

  encodeResponse({ entries }): Field[] {
    const rows = entries.map((entry) => [
      entry.topicId,
      entry.partition,
      entry.errorCode,
      boundedMessage(entry.errorMessage),
      entry.highWatermark,
      entry.logStartOffset,
      entry.leaderEpoch,
      entry.byteLength,
      entry.firstOffset,
      entry.lowestEpoch,
      entry.highestEpoch,
      entry.gapless ? 1 : 0,
    ]);
    return [rows];
  },

  decodeResponse(fields): FetchResponse {
    const reader = new FieldReader(fields, 'fetch response');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      topicId: row.topicId('topicId'),
      partition: readInt32(row, 'partition', 0),
      errorCode: readErrorCode(row),
      errorMessage: readErrorMessage(row),
      highWatermark: readSafe(row, 'highWatermark', -1),
      logStartOffset: readSafe(row, 'logStartOffset', -1),
      leaderEpoch: readInt32(row, 'leaderEpoch', -1),
      byteLength: readInt32(row, 'byteLength', 0),
      firstOffset: readSafe(row, 'firstOffset', -1),
      lowestEpoch: readInt32(row, 'lowestEpoch', -1),
      highestEpoch: readInt32(row, 'highestEpoch', -1),
      gapless: row.flag('gapless'),
    }));
    reader.end();
    return { entries };
  },
};
