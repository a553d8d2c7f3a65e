import type { Field } from '../header.js';
import type { Api } from './api.js';
import { readInt32 } from './common.js';
import { FieldReader } from './fields.js';
import type { MetadataNode } from './metadata.js';

/** The group whose coordinator is wanted; it need not exist. */
export interface FindCoordinatorRequest {
  readonly groupId: string;
}

/** The node that coordinates the group, and where it listens. */
export type FindCoordinatorResponse = MetadataNode;

/**
 * Finds the node that all requests of a group go to.
 *
 * ```
 * request  => groupId
 *   groupId    string
 * response => nodeId host port
 *   nodeId     int32 ≥ 0
 *   host       string; empty = the address that the client dialled
 *   port       0..65535
 * ```
 */
export const findCoordinatorApi: Api<FindCoordinatorRequest, FindCoordinatorResponse> = {
  apiKey: 10,
  name: 'findCoordinator',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ groupId }): Field[] {
    return [groupId];
  },

  decodeRequest(fields): FindCoordinatorRequest {
    const reader = new FieldReader(fields, 'findCoordinator');
    const groupId = reader.string('groupId');
    reader.end();
    return { groupId };
  },

  encodeResponse({ nodeId, host, port }): Field[] {
    return [nodeId, host, port];
  },

  decodeResponse(fields): FindCoordinatorResponse {
    const reader = new FieldReader(fields, 'findCoordinator response');
    const nodeId = readInt32(reader, 'nodeId', 0);
    const host = reader.string('host');
    const port = reader.integer('port', 0, 65_535);
    reader.end();
    return { nodeId, host, port };
  },
};
