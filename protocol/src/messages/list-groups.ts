import type { Field } from '../header.js';
import { MAX_ENTRIES, MAX_LISTED_GROUPS } from '../limits.js';
import type { Api } from './api.js';
import { readInt32 } from './common.js';
import { FieldReader } from './fields.js';
import { groupStates } from './group-state.js';
import type { GroupState } from './group-state.js';

/** Which groups are wanted. */
export interface ListGroupsRequest {
  /** Names of a {@link GroupState}; what is none of them finds nothing. Empty = all groups. */
  readonly states: readonly string[];
  /** Only groups whose ids come after this one; empty = from the first. */
  readonly after: string;
}

/** A group in a few words. */
export interface ListedGroup {
  readonly groupId: string;
  /** Such as `consumer`; empty = a group that only has offsets. */
  readonly protocolType: string;
  readonly state: GroupState;
  readonly memberCount: number;
}

/** The first of the groups that were asked for, by their ids, in the order of UTF-16 code units. */
export interface ListGroupsResponse {
  /** Never empty while there are more. */
  readonly groups: readonly ListedGroup[];
  /** There are more than fit; ask for those after the last one. */
  readonly more: boolean;
}

/**
 * Lists the groups that the broker coordinates, a page at a time. A group that comes or goes
 * meanwhile is there or not; no group is there twice.
 *
 * ```
 * request  => [state] after
 *   state      string
 *   after      string
 * response => [group] more
 *   more       0 | 1
 *   group      [groupId string, protocolType string, state, memberCount int32 ≥ 0]
 *   state      'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'
 * ```
 */
export const listGroupsApi: Api<ListGroupsRequest, ListGroupsResponse> = {
  apiKey: 16,
  name: 'listGroups',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ states, after }): Field[] {
    return [states, after];
  },

  decodeRequest(fields): ListGroupsRequest {
    const reader = new FieldReader(fields, 'listGroups');
    const states = reader.strings('states', MAX_ENTRIES);
    const after = reader.string('after');
    reader.end();
    return { states, after };
  },

  encodeResponse({ groups, more }): Field[] {
    const rows = groups.map((group) => [
      group.groupId,
      group.protocolType,
      group.state,
      group.memberCount,
    ]);
    return [rows, more ? 1 : 0];
  },

  decodeResponse(fields): ListGroupsResponse {
    const reader = new FieldReader(fields, 'listGroups response');
    const groups = reader.rows('groups', MAX_LISTED_GROUPS, (row) => ({
      groupId: row.string('groupId'),
      protocolType: row.string('protocolType'),
      state: row.oneOf('state', groupStates),
      memberCount: readInt32(row, 'memberCount', 0),
    }));
    const more = reader.flag('more');
    reader.end();
    return { groups, more };
  },
};
