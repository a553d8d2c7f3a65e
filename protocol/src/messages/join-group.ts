import type { Field } from '../header.js';
import { MAX_ENTRIES, MAX_GROUP_METADATA_BYTES, MAX_GROUP_PROTOCOLS } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readAnyInt32, readInt32, readMemberKey, readRowError } from './common.js';
import type { MemberKey, RowError } from './common.js';
import { FieldReader } from './fields.js';

/** An assignor that a member offers, and what it is to know of the member. */
export interface GroupProtocol {
  readonly name: string;
  /** Opaque to the broker; for consumers a `ConsumerSubscription`. */
  readonly metadata: Buffer;
}

/** Enters a group, or stays in it while it rebalances. */
export interface JoinGroupRequest extends MemberKey {
  readonly groupId: string;
  readonly clientId: string;
  /** A member that is not heard of for this long is out. */
  readonly sessionTimeoutMs: number;
  /** How long the group waits for the member to join again. */
  readonly rebalanceTimeoutMs: number;
  /** What the group is for, such as `consumer`. */
  readonly protocolType: string;
  /** In the member's order of preference. */
  readonly protocols: readonly GroupProtocol[];
}

/** A member as the leader sees it. */
export interface JoinedMember extends MemberKey {
  /** The metadata of the protocol that was chosen. */
  readonly metadata: Buffer;
}

/** The new generation of the group; with an error the other fields say nothing. */
export interface JoinGroupResponse extends RowError {
  /** -1 with an error. */
  readonly generation: number;
  readonly protocolType: string | null;
  /** What all members support. */
  readonly protocolName: string | null;
  readonly leaderId: string;
  /** Also with `MEMBER_ID_REQUIRED`: the id to join again with (KIP-394). */
  readonly memberId: string;
  /** Everyone in the group for the leader; empty for all others. */
  readonly members: readonly JoinedMember[];
}

/**
 * Enters a group; answered when the group has gathered its members. The error is in the response
 * and not in the envelope, because `MEMBER_ID_REQUIRED` comes with the id.
 *
 * ```
 * request  => groupId memberId groupInstanceId clientId sessionTimeoutMs rebalanceTimeoutMs
 *             protocolType [protocol]
 *   groupId, clientId, protocolType       string
 *   memberId                              string; empty at first
 *   groupInstanceId                       string | nil
 *   sessionTimeoutMs, rebalanceTimeoutMs  int32
 *   protocol                              [name string, metadata bin]
 * response => errorCode errorMessage generation protocolType protocolName leaderId memberId
 *             [member]
 *   errorCode                             int16
 *   errorMessage                          string | nil
 *   generation                            int32 ≥ -1
 *   protocolType, protocolName            string | nil
 *   leaderId, memberId                    string
 *   member                                [memberId string, groupInstanceId string | nil,
 *                                          metadata bin]
 * ```
 */
export const joinGroupApi: Api<JoinGroupRequest, JoinGroupResponse> = {
  apiKey: 11,
  name: 'joinGroup',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest(request): Field[] {
    const { groupId, memberId, groupInstanceId, clientId } = request;
    const { sessionTimeoutMs, rebalanceTimeoutMs, protocolType, protocols } = request;
    return [
      ...[groupId, memberId, groupInstanceId, clientId],
      ...[sessionTimeoutMs, rebalanceTimeoutMs, protocolType],
      protocols.map(({ name, metadata }) => [name, metadata]),
    ];
  },

  decodeRequest(fields): JoinGroupRequest {
    const reader = new FieldReader(fields, 'joinGroup');
    const request = {
      groupId: reader.string('groupId'),
      ...readMemberKey(reader),
      clientId: reader.string('clientId'),
      sessionTimeoutMs: readAnyInt32(reader, 'sessionTimeoutMs'),
      rebalanceTimeoutMs: readAnyInt32(reader, 'rebalanceTimeoutMs'),
      protocolType: reader.string('protocolType'),
      protocols: reader.rows('protocols', MAX_GROUP_PROTOCOLS, (row) => ({
        name: row.string('name'),
        metadata: row.bytes('metadata', MAX_GROUP_METADATA_BYTES),
      })),
    };
    reader.end();
    return request;
  },

  encodeResponse(response): Field[] {
    const { errorCode, errorMessage, generation, protocolType, protocolName } = response;
    return [
      ...[errorCode, boundedMessage(errorMessage), generation, protocolType, protocolName],
      ...[response.leaderId, response.memberId],
      response.members.map((each) => [each.memberId, each.groupInstanceId, each.metadata]),
    ];
  },

  decodeResponse(fields): JoinGroupResponse {
    const reader = new FieldReader(fields, 'joinGroup response');
    const response = {
      ...readRowError(reader),
      generation: readInt32(reader, 'generation', -1),
      protocolType: reader.nullableString('protocolType'),
      protocolName: reader.nullableString('protocolName'),
      leaderId: reader.string('leaderId'),
      memberId: reader.string('memberId'),
      members: reader.rows('members', MAX_ENTRIES, (row) => ({
        ...readMemberKey(row),
        metadata: row.bytes('metadata', MAX_GROUP_METADATA_BYTES),
      })),
    };
    reader.end();
    return response;
  },
};
