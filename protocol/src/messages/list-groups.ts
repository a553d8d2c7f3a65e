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
}

/** A group in a few words. */
export interface ListedGroup {
  readonly groupId: string;
  /** Such as `consumer`; empty = a group that only has offsets. */
  readonly protocolType: string;
  readonly state: GroupState;
  readonly memberCount: number;
}

/** The groups that were asked for, in no order. */
export interface ListGroupsResponse {
  readonly groups: readonly ListedGroup[];
}

/**
 * Lists the groups that the broker coordinates.
 *
 * ```
 * request  => [state]
 *   state      string
 * response => [group]
 *   group      [groupId string, protocolType string, state, memberCount int32 ≥ 0]
 *   state      'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'
 * ```
 */
export const listGroupsApi: Api<ListGroupsRequest, ListGroupsResponse> = {
  apiKey: 16,
  name: 'listGroups',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ states }): Field[] {
    return [states];
  },

  decodeRequest(fields): ListGroupsRequest {
    const reader = new FieldReader(fields, 'listGroups');
    const states = reader.strings('states', MAX_ENTRIES);
    reader.end();
    return { states };
  },

  encodeResponse({ groups }): Field[] {
    const rows = groups.map((group) => [
      group.groupId,
      group.protocolType,
      group.state,
      group.memberCount,
    ]);
    return [rows];
  },

  decodeResponse(fields): ListGroupsResponse {
    const reader = new FieldReader(fields, 'listGroups response');
    const groups = reader.rows('groups', MAX_LISTED_GROUPS, (row) => ({
      groupId: row.string('groupId'),
      protocolType: row.string('protocolType'),
      state: row.oneOf('state', groupStates),
      memberCount: readInt32(row, 'memberCount', 0),
    }));
    reader.end();
    return { groups };
  },
};
