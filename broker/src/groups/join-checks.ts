import {
  CONSUMER_PROTOCOL_TYPE,
  decodeSubscription,
  MAX_GROUP_ID_LENGTH,
  ProtocolError,
} from '@millrace/protocol';
import type { GroupProtocol, JoinGroupRequest } from '@millrace/protocol';
import { requireGroupId } from './group-errors.js';
import type { GroupConfig } from './group-config.js';

/** Characters of a group instance id. */
const MAX_INSTANCE_ID_LENGTH = MAX_GROUP_ID_LENGTH;
/** Characters of a protocol type, which a group keeps, and of the name of a protocol. */
const MAX_PROTOCOL_NAME_LENGTH = MAX_GROUP_ID_LENGTH;

/**
 * Checks what can be said of a join without a look at the group.
 *
 * @throws ProtocolError INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, INVALID_REQUEST,
 *   INCONSISTENT_GROUP_PROTOCOL, LIMIT_EXCEEDED
 */
export function checkJoin(request: JoinGroupRequest, config: GroupConfig): void {
  const { groupId, groupInstanceId } = request;
  requireGroupId(groupId);
  checkTimeouts(request, config);
  checkProtocols(request, config);
  const idLength = groupInstanceId?.length ?? 1;
  if (idLength < 1 || idLength > MAX_INSTANCE_ID_LENGTH) {
    throw new ProtocolError(
      'INVALID_REQUEST',
      `group ${groupId}: a group instance id has 1 to ${MAX_INSTANCE_ID_LENGTH} characters, ` +
        `this one has ${idLength}`,
    );
  }
}

function checkTimeouts(request: JoinGroupRequest, config: GroupConfig): void {
  const { groupId, sessionTimeoutMs, rebalanceTimeoutMs } = request;
  const { groupMinSessionTimeoutMs, groupMaxSessionTimeoutMs, maxRebalanceTimeoutMs } = config;
  if (sessionTimeoutMs < groupMinSessionTimeoutMs || sessionTimeoutMs > groupMaxSessionTimeoutMs) {
    throw new ProtocolError(
      'INVALID_SESSION_TIMEOUT',
      `group ${groupId}: a session timeout of ${sessionTimeoutMs} ms; this broker takes from ` +
        `${groupMinSessionTimeoutMs} to ${groupMaxSessionTimeoutMs} ms ` +
        '(groupMinSessionTimeoutMs, groupMaxSessionTimeoutMs)',
    );
  }
  if (rebalanceTimeoutMs < 1 || rebalanceTimeoutMs > maxRebalanceTimeoutMs) {
    throw new ProtocolError(
      'INVALID_REQUEST',
      `group ${groupId}: a rebalance timeout of ${rebalanceTimeoutMs} ms; this broker takes from ` +
        `1 to ${maxRebalanceTimeoutMs} ms (maxRebalanceTimeoutMs)`,
    );
  }
}

function checkProtocols(request: JoinGroupRequest, config: GroupConfig): void {
  const { groupId, protocolType, protocols } = request;
  if (protocolType === '' || protocols.length === 0) {
    throw new ProtocolError(
      'INCONSISTENT_GROUP_PROTOCOL',
      `group ${groupId}: a member names its protocol type and at least one protocol`,
    );
  }
  for (const name of [protocolType, ...protocols.map((each) => each.name)]) {
    if (name.length <= MAX_PROTOCOL_NAME_LENGTH) continue;
    throw new ProtocolError(
      'INVALID_REQUEST',
      `group ${groupId}: a protocol type, or the name of a protocol, has ${name.length} ` +
        `characters; ${MAX_PROTOCOL_NAME_LENGTH} are the most`,
    );
  }
  const names = new Set<string>();
  for (const { name, metadata } of protocols) {
    if (names.has(name)) {
      throw new ProtocolError(
        'INVALID_REQUEST',
        `group ${groupId}: protocol "${name}" is there twice; name each once`,
      );
    }
    names.add(name);
    if (metadata.length > config.maxGroupMetadataBytes) {
      throw new ProtocolError(
        'LIMIT_EXCEEDED',
        `group ${groupId}: the metadata for protocol "${name}" has ${metadata.length} bytes, ` +
          `more than the maxGroupMetadataBytes of ${config.maxGroupMetadataBytes}`,
      );
    }
    if (protocolType === CONSUMER_PROTOCOL_TYPE) checkSubscription(groupId, { name, metadata });
  }
}

/** The leader reads what all others say: who says what nobody can read is told so itself. */
function checkSubscription(groupId: string, { name, metadata }: GroupProtocol): void {
  try {
    decodeSubscription(metadata);
  } catch (error) {
    const why = error instanceof ProtocolError ? error.message : String(error);
    throw new ProtocolError(
      'INVALID_REQUEST',
      `group ${groupId}: the metadata for protocol "${name}" of a "${CONSUMER_PROTOCOL_TYPE}" is ` +
        `no subscription: ${why}`,
    );
  }
}
