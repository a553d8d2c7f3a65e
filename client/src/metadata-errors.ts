import { toMillraceError } from './errors.js';

/** True when the error says that what metadata told is wrong or that a node is not there. */
export function doubtsMetadata(error: unknown): boolean {
  const { code } = toMillraceError(error);
  return (
    code === 'UNKNOWN_TOPIC_OR_PARTITION' ||
    code === 'UNKNOWN_TOPIC_ID' ||
    code === 'NOT_LEADER_OR_FOLLOWER' ||
    code === 'FENCED_LEADER_EPOCH' ||
    code === 'CONNECTION_FAILED' ||
    code === 'REQUEST_TIMEOUT'
  );
}
