import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readErrorCode, readErrorMessage, readInt32 } from './common.js';
import type { RowError } from './common.js';
import { FieldReader } from './fields.js';

/** Topics to delete, each on its own. */
export interface DeleteTopicsRequest {
  readonly names: readonly string[];
  readonly timeoutMs: number;
}

/** How the deletion of a topic went. */
export interface DeleteTopicsResult extends RowError {
  readonly name: string;
}

/** One row for each name of the request, in its order. */
export interface DeleteTopicsResponse {
  readonly topics: readonly DeleteTopicsResult[];
}

/**
 * Deletes topics and everything in them.
 *
 * ```
 * request  => [name] timeoutMs
 *   name       string
 *   timeoutMs  int32 ≥ 0
 * response => [topic]
 *   topic      [name string, errorCode int16, errorMessage string | nil]
 * ```
 */
export const deleteTopicsApi: Api<DeleteTopicsRequest, DeleteTopicsResponse> = {
  apiKey: 20,
  name: 'deleteTopics',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ names, timeoutMs }): Field[] {
    return [names, timeoutMs];
  },

  decodeRequest(fields): DeleteTopicsRequest {
    const reader = new FieldReader(fields, 'deleteTopics');
    const names = reader.strings('names', MAX_ENTRIES);
    const timeoutMs = readInt32(reader, 'timeoutMs', 0);
    reader.end();
    return { names, timeoutMs };
  },

  encodeResponse({ topics }): Field[] {
    const rows = topics.map(({ name, errorCode, errorMessage }) => [
      name,
      errorCode,
      boundedMessage(errorMessage),
    ]);
    return [rows];
  },

  decodeResponse(fields): DeleteTopicsResponse {
    const reader = new FieldReader(fields, 'deleteTopics response');
    const topics = reader.rows('topics', MAX_ENTRIES, (row) => ({
      name: row.string('name'),
      errorCode: readErrorCode(row),
      errorMessage: readErrorMessage(row),
    }));
    reader.end();
    return { topics };
  },
};
