import type { Field } from '../header.js';
import { MAX_CONFIG_ENTRIES, MAX_ENTRIES, MAX_INT32 } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readErrorCode, readErrorMessage, readInt32 } from './common.js';
import type { RowError } from './common.js';
import { FieldReader } from './fields.js';

/** A topic to create. */
export interface CreateTopicsEntry {
  readonly name: string;
  readonly partitions: number;
  /** Keys and values, such as `['segment.bytes', '67108864']`. */
  readonly config: readonly (readonly [key: string, value: string])[];
}

/** Topics to create, each on its own: one may succeed while another fails. */
export interface CreateTopicsRequest {
  readonly topics: readonly CreateTopicsEntry[];
  readonly timeoutMs: number;
}

/** How the creation of a topic went. */
export interface CreateTopicsResult extends RowError {
  readonly name: string;
  /** `NO_TOPIC_ID` with an error. */
  readonly topicId: string;
  /** How many partitions the topic has; 0 with an error. */
  readonly partitions: number;
}

/** One row for each topic of the request, in its order. */
export interface CreateTopicsResponse {
  readonly topics: readonly CreateTopicsResult[];
}

/**
 * Creates topics. A name or a number of partitions that no topic may have is for the handler to
 * refuse, for that topic alone.
 *
 * ```
 * request  => [topic] timeoutMs
 *   topic      [name string, partitions int32, [[key string, value string]]]
 *   timeoutMs  int32 ≥ 0
 * response => [topic]
 *   topic      [name string, errorCode int16, errorMessage string | nil, topicId,
 *               partitions int32 ≥ 0]
 * ```
 */
export const createTopicsApi: Api<CreateTopicsRequest, CreateTopicsResponse> = {
  apiKey: 19,
  name: 'createTopics',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ topics, timeoutMs }): Field[] {
    return [topics.map(({ name, partitions, config }) => [name, partitions, config]), timeoutMs];
  },

  decodeRequest(fields): CreateTopicsRequest {
    const reader = new FieldReader(fields, 'createTopics');
    const topics = reader.rows('topics', MAX_ENTRIES, (row) => ({
      name: row.string('name'),
      partitions: row.integer('partitions', -MAX_INT32 - 1, MAX_INT32),
      config: row.rows('config', MAX_CONFIG_ENTRIES, decodeConfigEntry),
    }));
    const timeoutMs = readInt32(reader, 'timeoutMs', 0);
    reader.end();
    return { topics, timeoutMs };
  },

  encodeResponse({ topics }): Field[] {
    const rows = topics.map((topic) => [
      topic.name,
      topic.errorCode,
      boundedMessage(topic.errorMessage),
      topic.topicId,
      topic.partitions,
    ]);
    return [rows];
  },

  decodeResponse(fields): CreateTopicsResponse {
    const reader = new FieldReader(fields, 'createTopics response');
    const topics = reader.rows('topics', MAX_ENTRIES, (row) => ({
      name: row.string('name'),
      errorCode: readErrorCode(row),
      errorMessage: readErrorMessage(row),
      topicId: row.optionalTopicId('topicId'),
      partitions: readInt32(row, 'partitions', 0),
    }));
    reader.end();
    return { topics };
  },
};

function decodeConfigEntry(row: FieldReader): readonly [key: string, value: string] {
  return [row.string('key'), row.string('value')];
}
