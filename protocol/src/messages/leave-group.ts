import type { Field } from '../header.js';
import { MAX_ENTRIES } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readMemberKey, readRowError } from './common.js';
import type { MemberKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** A member that leaves. A static one may be named by `groupInstanceId` alone. */
export interface LeavingMember extends MemberKey {
  /** For the broker's log (KIP-800). */
  readonly reason: string | null;
}

/** Members that leave a group, or are put out of it by a tool. */
export interface LeaveGroupRequest {
  readonly groupId: string;
  readonly members: readonly LeavingMember[];
}

/** How it went for one member. */
export interface LeaveGroupResult extends MemberKey, RowError {}

/** One row for each row of the request, in its order. */
export interface LeaveGroupResponse {
  readonly members: readonly LeaveGroupResult[];
}

/**
 * Leaves a group, so that it need not wait for the session to time out.
 *
 * ```
 * request  => groupId [member]
 *   groupId    string
 *   member     [memberId string, groupInstanceId string | nil, reason string | nil]
 * response => [member]
 *   member     [memberId string, groupInstanceId string | nil, errorCode int16,
 *               errorMessage string | nil]
 * ```
 */
export const leaveGroupApi: Api<LeaveGroupRequest, LeaveGroupResponse> = {
  apiKey: 13,
  name: 'leaveGroup',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ groupId, members }): Field[] {
    const rows = members.map(({ memberId, groupInstanceId, reason }) => [
      memberId,
      groupInstanceId,
      reason,
    ]);
    return [groupId, rows];
  },

  decodeRequest(fields): LeaveGroupRequest {
    const reader = new FieldReader(fields, 'leaveGroup');
    const groupId = reader.string('groupId');
    const members = reader.rows('members', MAX_ENTRIES, (row) => ({
      ...readMemberKey(row),
      reason: row.nullableString('reason'),
    }));
    reader.end();
    return { groupId, members };
  },

  encodeResponse({ members }): Field[] {
    const rows = members.map(({ memberId, groupInstanceId, errorCode, errorMessage }) => [
      memberId,
      groupInstanceId,
      errorCode,
      boundedMessage(errorMessage),
    ]);
    return [rows];
  },

  decodeResponse(fields): LeaveGroupResponse {
    const reader = new FieldReader(fields, 'leaveGroup response');
    const members = reader.rows('members', MAX_ENTRIES, (row) => ({
      ...readMemberKey(row),
      ...readRowError(row),
    }));
    reader.end();
    return { members };
  },
};
