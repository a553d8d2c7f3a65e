import type { Field } from '../header.js';
import type { Api } from './api.js';
import { readInt32 } from './common.js';
import type { MemberKey } from './common.js';
import { FieldReader } from './fields.js';

/** A sign of life of a member. */
export interface HeartbeatRequest extends MemberKey {
  readonly groupId: string;
  readonly generation: number;
}

/** The member is in the group, in this generation, and nothing has changed. */
export type HeartbeatResponse = Readonly<Record<string, never>>;

/**
 * Keeps a member in its group, and tells it of a rebalance: by the error of the envelope.
 *
 * ```
 * request  => groupId memberId generation groupInstanceId
 *   groupId, memberId  string
 *   generation         int32 ≥ -1
 *   groupInstanceId    string | nil
 * response => nothing
 * ```
 */
export const heartbeatApi: Api<HeartbeatRequest, HeartbeatResponse> = {
  apiKey: 12,
  name: 'heartbeat',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ groupId, memberId, generation, groupInstanceId }): Field[] {
    return [groupId, memberId, generation, groupInstanceId];
  },

  decodeRequest(fields): HeartbeatRequest {
    const reader = new FieldReader(fields, 'heartbeat');
    const groupId = reader.string('groupId');
    const memberId = reader.string('memberId');
    const generation = readInt32(reader, 'generation', -1);
    const groupInstanceId = reader.nullableString('groupInstanceId');
    reader.end();
    return { groupId, memberId, generation, groupInstanceId };
  },

  encodeResponse(): Field[] {
    return [];
  },

  decodeResponse(fields): HeartbeatResponse {
    new FieldReader(fields, 'heartbeat response').end();
    return {};
  },
};
