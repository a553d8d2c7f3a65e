import type { Field } from '../header.js';
import { MAX_ENTRIES, MAX_GROUP_METADATA_BYTES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readInt32, readMemberKey, readRowError } from './common.js';
import type { MemberKey, RowError } from './common.js';
import { FieldReader } from './fields.js';
import { groupStates } from './group-state.js';
import type { GroupState } from './group-state.js';

/** Groups to describe. */
export interface DescribeGroupsRequest {
  readonly groupIds: readonly string[];
}

/** A member of a group, for people. */
export interface DescribedMember extends MemberKey {
  readonly clientId: string;
  /** The address that it is connected from. */
  readonly clientHost: string;
  /** Of the protocol in use; for consumers a `ConsumerSubscription`. */
  readonly metadata: Buffer;
  /** For consumers a `ConsumerAssignment`; of no bytes while the group rebalances. */
  readonly assignment: Buffer;
}

/** A group, or why there is none of that id (`GROUP_ID_NOT_FOUND`). */
export interface DescribedGroup extends RowError {
  readonly groupId: string;
  readonly state: GroupState;
  /** Such as `consumer`; empty = a group that only has offsets. */
  readonly protocolType: string;
  /** The assignor in use; empty = none. */
  readonly protocolName: string;
  /** A node id; -1 = none. */
  readonly coordinator: number;
  /** -1 with an error. */
  readonly generation: number;
  readonly members: readonly DescribedMember[];
}

/** One row for each id of the request, in its order. */
export interface DescribeGroupsResponse {
  readonly groups: readonly DescribedGroup[];
}

/**
 * Tells everything about groups, for people.
 *
 * ```
 * request  => [groupId]
 *   groupId    string
 * response => [group]
 *   group      [errorCode int16, errorMessage string | nil, groupId string, state,
 *               protocolType string, protocolName string, coordinator int32 ≥ -1,
 *               generation int32 ≥ -1, [member]]
 *   state      'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'
 *   member     [memberId string, groupInstanceId string | nil, clientId string,
 *               clientHost string, metadata bin, assignment bin]
 * ```
 */
export const describeGroupsApi: Api<DescribeGroupsRequest, DescribeGroupsResponse> = {
  apiKey: 15,
  name: 'describeGroups',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ groupIds }): Field[] {
    return [groupIds];
  },

  decodeRequest(fields): DescribeGroupsRequest {
    const reader = new FieldReader(fields, 'describeGroups');
    const groupIds = reader.strings('groupIds', MAX_ENTRIES);
    reader.end();
    return { groupIds };
  },

  encodeResponse({ groups }): Field[] {
    const rows = groups.map((group) => [
      group.errorCode,
      boundedMessage(group.errorMessage),
      group.groupId,
      group.state,
      group.protocolType,
      group.protocolName,
      group.coordinator,
      group.generation,
      group.members.map(encodeMember),
    ]);
    return [rows];
  },

  decodeResponse(fields): DescribeGroupsResponse {
    const reader = new FieldReader(fields, 'describeGroups response');
    const groups = reader.rows('groups', MAX_ENTRIES, (row) => ({
      ...readRowError(row),
      groupId: row.string('groupId'),
      state: row.oneOf('state', groupStates),
      protocolType: row.string('protocolType'),
      protocolName: row.string('protocolName'),
      coordinator: readInt32(row, 'coordinator', -1),
      generation: readInt32(row, 'generation', -1),
      members: row.rows('members', MAX_ENTRIES, decodeMember),
    }));
    reader.end();
    return { groups };
  },
};

function encodeMember(member: DescribedMember): Field[] {
  const { memberId, groupInstanceId, clientId, clientHost, metadata, assignment } = member;
  return [memberId, groupInstanceId, clientId, clientHost, metadata, assignment];
}

function decodeMember(row: FieldReader): DescribedMember {
  return {
    ...readMemberKey(row),
    clientId: row.string('clientId'),
    clientHost: row.string('clientHost'),
    metadata: row.bytes('metadata', MAX_GROUP_METADATA_BYTES),
    assignment: row.bytes('assignment', MAX_GROUP_METADATA_BYTES),
  };
}
