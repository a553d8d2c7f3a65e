import type { Field } from '../header.js';
import { MAX_ENTRIES, MAX_GROUP_METADATA_BYTES } from '../limits.js';
import type { Api } from './api.js';
import { readInt32 } from './common.js';
import type { MemberKey } from './common.js';
import { FieldReader } from './fields.js';

/** What the leader gives to one member. */
export interface MemberAssignment {
  readonly memberId: string;
  /** Opaque to the broker; for consumers a `ConsumerAssignment`. */
  readonly assignment: Buffer;
}

/** Asks for the member's assignment; that of the leader brings all of them. */
export interface SyncGroupRequest extends MemberKey {
  readonly groupId: string;
  readonly generation: number;
  /** What the member takes the group's protocol for (KIP-559); null = not said. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** Empty from all but the leader. */
  readonly assignments: readonly MemberAssignment[];
}

/** What the member is to consume. */
export interface SyncGroupResponse {
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** Of no bytes when the leader gave the member nothing. */
  readonly assignment: Buffer;
}

/**
 * Hands out the leader's assignments; answered when the leader has sent them.
 *
 * ```
 * request  => groupId memberId generation groupInstanceId protocolType protocolName [assignment]
 *   groupId, memberId           string
 *   generation                  int32 ≥ -1
 *   groupInstanceId             string | nil
 *   protocolType, protocolName  string | nil
 *   assignment                  [memberId string, assignment bin]
 * response => protocolType protocolName assignment
 *   protocolType, protocolName  string | nil
 *   assignment                  bin
 * ```
 */
export const syncGroupApi: Api<SyncGroupRequest, SyncGroupResponse> = {
  apiKey: 14,
  name: 'syncGroup',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest(request): Field[] {
    const { groupId, memberId, generation, groupInstanceId } = request;
    return [
      ...[groupId, memberId, generation, groupInstanceId],
      ...[request.protocolType, request.protocolName],
      request.assignments.map((each) => [each.memberId, each.assignment]),
    ];
  },

  decodeRequest(fields): SyncGroupRequest {
    const reader = new FieldReader(fields, 'syncGroup');
    const request = {
      groupId: reader.string('groupId'),
      memberId: reader.string('memberId'),
      generation: readInt32(reader, 'generation', -1),
      groupInstanceId: reader.nullableString('groupInstanceId'),
      protocolType: reader.nullableString('protocolType'),
      protocolName: reader.nullableString('protocolName'),
      assignments: reader.rows('assignments', MAX_ENTRIES, (row) => ({
        memberId: row.string('memberId'),
        assignment: row.bytes('assignment', MAX_GROUP_METADATA_BYTES),
      })),
    };
    reader.end();
    return request;
  },

  encodeResponse({ protocolType, protocolName, assignment }): Field[] {
    return [protocolType, protocolName, assignment];
  },

  decodeResponse(fields): SyncGroupResponse {
    const reader = new FieldReader(fields, 'syncGroup response');
    const protocolType = reader.nullableString('protocolType');
    const protocolName = reader.nullableString('protocolName');
    const assignment = reader.bytes('assignment', MAX_GROUP_METADATA_BYTES);
    reader.end();
    return { protocolType, protocolName, assignment };
  },
};
