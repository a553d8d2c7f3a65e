import type { Field } from '../header.js';
import { MAX_CONFIG_ENTRIES, MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readRowError } from './common.js';
import type { RowError } from './common.js';
import { FieldReader } from './fields.js';

/** One config entry to change. */
export interface TopicConfigChange {
  /** Such as `retention.ms`. */
  readonly key: string;
  /** null = back to the broker's default. */
  readonly value: string | null;
}

/** A topic and what changes; what is not named stays as it is. */
export interface AlterTopicConfigsEntry {
  readonly name: string;
  readonly changes: readonly TopicConfigChange[];
}

/** Topics to configure; for each one all changes are made, or none. */
export interface AlterTopicConfigsRequest {
  readonly topics: readonly AlterTopicConfigsEntry[];
  /** Whether the changes are only checked. */
  readonly validateOnly: boolean;
}

/** How it went for one topic. */
export interface AlterTopicConfigsResult extends RowError {
  readonly name: string;
}

/** One row for each topic of the request, in its order. */
export interface AlterTopicConfigsResponse {
  readonly topics: readonly AlterTopicConfigsResult[];
}

/**
 * Changes the configuration of topics while they are in use (KIP-339's incrementalAlterConfigs).
 *
 * ```
 * request  => [topic] validateOnly
 *   topic         [name string, [change]]
 *   change        [key string, value string | nil]
 *   validateOnly  0 | 1
 * response => [topic]
 *   topic         [name string, errorCode int16, errorMessage string | nil]
 * ```
 */
export const alterTopicConfigsApi: Api<AlterTopicConfigsRequest, AlterTopicConfigsResponse> = {
  apiKey: 44,
  name: 'alterTopicConfigs',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ topics, validateOnly }): Field[] {
    const rows = topics.map(({ name, changes }) => [
      name,
      changes.map(({ key, value }) => [key, value]),
    ]);
    return [rows, validateOnly ? 1 : 0];
  },

  decodeRequest(fields): AlterTopicConfigsRequest {
    const reader = new FieldReader(fields, 'alterTopicConfigs');
    const topics = reader.rows('topics', MAX_ENTRIES, (row) => ({
      name: row.string('name'),
      changes: row.rows('changes', MAX_CONFIG_ENTRIES, (change) => ({
        key: change.string('key'),
        value: change.nullableString('value'),
      })),
    }));
    const validateOnly = reader.flag('validateOnly');
    reader.end();
    return { topics, validateOnly };
  },

  encodeResponse({ topics }): Field[] {
    const rows = topics.map(({ name, errorCode, errorMessage }) => [
      name,
      errorCode,
      boundedMessage(errorMessage),
    ]);
    return [rows];
  },

  decodeResponse(fields): AlterTopicConfigsResponse {
    const reader = new FieldReader(fields, 'alterTopicConfigs response');
    const topics = reader.rows('topics', MAX_ENTRIES, (row) => ({
      name: row.string('name'),
      ...readRowError(row),
    }));
    reader.end();
    return { topics };
  },
};
