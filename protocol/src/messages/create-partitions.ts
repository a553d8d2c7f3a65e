import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readAnyInt32, readInt32, readRowError } from './common.js';
import type { RowError } from './common.js';
import { FieldReader } from './fields.js';

/** A topic that is to have more partitions. */
export interface CreatePartitionsEntry {
  readonly name: string;
  /** How many the topic is to have in all. */
  readonly partitions: number;
}

/** Topics to extend, each on its own. */
export interface CreatePartitionsRequest {
  readonly topics: readonly CreatePartitionsEntry[];
  readonly timeoutMs: number;
}

/** How it went for one topic. */
export interface CreatePartitionsResult extends RowError {
  readonly name: string;
  /** How many partitions the topic has now; 0 with an error. */
  readonly partitions: number;
}

/** One row for each topic of the request, in its order. */
export interface CreatePartitionsResponse {
  readonly topics: readonly CreatePartitionsResult[];
}

/**
 * Adds partitions to topics. A number that a topic cannot have is for the handler to refuse, for
 * that topic alone.
 *
 * ```
 * request  => [topic] timeoutMs
 *   topic      [name string, partitions int32]
 *   timeoutMs  int32 ≥ 0
 * response => [topic]
 *   topic      [name string, errorCode int16, errorMessage string | nil, partitions int32 ≥ 0]
 * ```
 */
export const createPartitionsApi: Api<CreatePartitionsRequest, CreatePartitionsResponse> = {
  apiKey: 37,
  name: 'createPartitions',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ topics, timeoutMs }): Field[] {
    return [topics.map(({ name, partitions }) => [name, partitions]), timeoutMs];
  },

  decodeRequest(fields): CreatePartitionsRequest {
    const reader = new FieldReader(fields, 'createPartitions');
    const topics = reader.rows('topics', MAX_ENTRIES, (row) => ({
      name: row.string('name'),
      partitions: readAnyInt32(row, 'partitions'),
    }));
    const timeoutMs = readInt32(reader, 'timeoutMs', 0);
    reader.end();
    return { topics, timeoutMs };
  },

  encodeResponse({ topics }): Field[] {
    const rows = topics.map(({ name, errorCode, errorMessage, partitions }) => [
      name,
      errorCode,
      boundedMessage(errorMessage),
      partitions,
    ]);
    return [rows];
  },

  decodeResponse(fields): CreatePartitionsResponse {
    const reader = new FieldReader(fields, 'createPartitions response');
    const topics = reader.rows('topics', MAX_ENTRIES, (row) => ({
      name: row.string('name'),
      ...readRowError(row),
      partitions: readInt32(row, 'partitions', 0),
    }));
    reader.end();
    return { topics };
  },
};
