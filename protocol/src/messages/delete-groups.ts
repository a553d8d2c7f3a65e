import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readRowError } from './common.js';
import type { RowError } from './common.js';
import { FieldReader } from './fields.js';

/** Groups to delete, each on its own. */
export interface DeleteGroupsRequest {
  readonly groupIds: readonly string[];
}

/** How the deletion of a group went: `NON_EMPTY_GROUP`, `GROUP_ID_NOT_FOUND`. */
export interface DeleteGroupsResult extends RowError {
  readonly groupId: string;
}

/** One row for each id of the request, in its order. */
export interface DeleteGroupsResponse {
  readonly groups: readonly DeleteGroupsResult[];
}

/**
 * Deletes groups that have no members, and their committed offsets.
 *
 * ```
 * request  => [groupId]
 *   groupId    string
 * response => [group]
 *   group      [groupId string, errorCode int16, errorMessage string | nil]
 * ```
 */
export const deleteGroupsApi: Api<DeleteGroupsRequest, DeleteGroupsResponse> = {
  apiKey: 42,
  name: 'deleteGroups',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ groupIds }): Field[] {
    return [groupIds];
  },

  decodeRequest(fields): DeleteGroupsRequest {
    const reader = new FieldReader(fields, 'deleteGroups');
    const groupIds = reader.strings('groupIds', MAX_ENTRIES);
    reader.end();
    return { groupIds };
  },

  encodeResponse({ groups }): Field[] {
    const rows = groups.map(({ groupId, errorCode, errorMessage }) => [
      groupId,
      errorCode,
      boundedMessage(errorMessage),
    ]);
    return [rows];
  },

  decodeResponse(fields): DeleteGroupsResponse {
    const reader = new FieldReader(fields, 'deleteGroups response');
    const groups = reader.rows('groups', MAX_ENTRIES, (row) => ({
      groupId: row.string('groupId'),
      ...readRowError(row),
    }));
    reader.end();
    return { groups };
  },
};
