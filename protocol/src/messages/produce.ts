import { ProtocolError } from '../errors.js';
import type { Field } from '../header.js';
import { MAX_ENTRIES, MAX_INT32 } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readErrorCode, readErrorMessage, readInt32, readSafe } from './common.js';
import type { PartitionKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** How safe a batch must be before it is acknowledged: sent, appended, or on disk (-1, "all"). */
export type Acks = 0 | 1 | -1;

/** Batches for one partition. */
export interface ProduceEntry extends PartitionKey {
  /** Bytes of the payload that belong to this row. */
  readonly byteLength: number;
}

/** Batches to append. The payload holds those of each row, in the order of the rows. */
export interface ProduceRequest {
  readonly acks: Acks;
  readonly timeoutMs: number;
  readonly entries: readonly ProduceEntry[];
}

/** How the append to one partition went. */
export interface ProduceResult extends PartitionKey, RowError {
  /** The offset of the first record; -1 with an error. */
  readonly baseOffset: number;
  /** Unix time in ms; -1 = the records keep the timestamps of the producer. */
  readonly logAppendTimeMs: number;
  /** The first offset of the partition; -1 = not known. */
  readonly logStartOffset: number;
}

/** One row for each row of the request, in its order. */
export interface ProduceResponse {
  readonly entries: readonly ProduceResult[];
}

/**
 * Appends record batches. With `acks` 0 there is no response at all. That the lengths of the rows
 * add up to the payload is for the handler to check: it has the frame.
 *
 * ```
 * request  => acks timeoutMs [entry], payload: record batches
 *   acks       0 | 1 | -1
 *   timeoutMs  int32 ≥ 0
 *   entry      [topicId, partition int32 ≥ 0, byteLength int32 ≥ 0]
 * response => [entry]
 *   entry      [topicId, partition int32 ≥ 0, errorCode int16, errorMessage string | nil,
 *               baseOffset int ≥ -1, logAppendTimeMs int ≥ -1, logStartOffset int ≥ -1]
 * ```
 */
export const produceApi: Api<ProduceRequest, ProduceResponse> = {
  apiKey: 0,
  name: 'produce',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ acks, timeoutMs, entries }): Field[] {
    const rows = entries.map((entry) => [entry.topicId, entry.partition, entry.byteLength]);
    return [acks, timeoutMs, rows];
  },

  decodeRequest(fields): ProduceRequest {
    const reader = new FieldReader(fields, 'produce');
    const acks = readAcks(reader);
    const timeoutMs = readInt32(reader, 'timeoutMs', 0);
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      topicId: row.topicId('topicId'),
      partition: readInt32(row, 'partition', 0),
      byteLength: readInt32(row, 'byteLength', 0),
    }));
    reader.end();
    return { acks, timeoutMs, entries };
  },

  encodeResponse({ entries }): Field[] {
    const rows = entries.map((entry) => [
      entry.topicId,
      entry.partition,
      entry.errorCode,
      boundedMessage(entry.errorMessage),
      entry.baseOffset,
      entry.logAppendTimeMs,
      entry.logStartOffset,
    ]);
    return [rows];
  },

  decodeResponse(fields): ProduceResponse {
    const reader = new FieldReader(fields, 'produce response');
    const entries = reader.rows('entries', MAX_ENTRIES, (row) => ({
      topicId: row.topicId('topicId'),
      partition: readInt32(row, 'partition', 0),
      errorCode: readErrorCode(row),
      errorMessage: readErrorMessage(row),
      baseOffset: readSafe(row, 'baseOffset', -1),
      logAppendTimeMs: readSafe(row, 'logAppendTimeMs', -1),
      logStartOffset: readSafe(row, 'logStartOffset', -1),
    }));
    reader.end();
    return { entries };
  },
};

function readAcks(reader: FieldReader): Acks {
  const acks = reader.integer('acks', -MAX_INT32 - 1, MAX_INT32);
  if (acks === 0 || acks === 1 || acks === -1) return acks;
  throw new ProtocolError(
    'INVALID_REQUIRED_ACKS',
    `produce.acks: expected 0, 1 or -1 (all), got ${acks}`,
  );
}
