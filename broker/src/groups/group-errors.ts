import { MAX_GROUP_ID_LENGTH, ProtocolError } from '@millrace/protocol';
import type { RowError } from '@millrace/protocol';
import type { Logger } from 'pino';

/** What a row of a response says where all went well. */
export const noError: RowError = { errorCode: 0, errorMessage: null };

/**
 * What a row says of `error`. What is not a ProtocolError is a defect: it is logged, and the client
 * only learns that there is one.
 *
 * @param what names the row in the log.
 */
export function rowError(error: unknown, what: string, logger: Logger): RowError {
  if (error instanceof ProtocolError) {
    return { errorCode: error.code, errorMessage: error.message };
  }
  logger.error({ err: error }, `${what} failed`);
  const unknown = new ProtocolError('UNKNOWN_SERVER_ERROR');
  return { errorCode: unknown.code, errorMessage: unknown.message };
}

/** @throws ProtocolError INVALID_GROUP_ID */
export function requireGroupId(groupId: string): void {
  if (groupId.length >= 1 && groupId.length <= MAX_GROUP_ID_LENGTH) return;
  throw new ProtocolError(
    'INVALID_GROUP_ID',
    `a group id has 1 to ${MAX_GROUP_ID_LENGTH} characters, this one has ${groupId.length}`,
  );
}

export function shuttingDown(): ProtocolError {
  return new ProtocolError('SHUTTING_DOWN', 'the broker is stopping');
}

export function unknownMember(groupId: string, memberId: string): ProtocolError {
  return new ProtocolError(
    'UNKNOWN_MEMBER_ID',
    memberId === ''
      ? `group ${groupId}: the request names no member; join the group first`
      : `group ${groupId} has no member ${memberId} (any more): it left, was not heard of for ` +
          'its session timeout, or did not join again in time; join with an empty member id',
  );
}

export function unknownInstance(groupId: string, instanceId: string): ProtocolError {
  return new ProtocolError(
    'UNKNOWN_MEMBER_ID',
    `group ${groupId} has no member with group instance id ${instanceId}; join with an empty ` +
      'member id',
  );
}

export function fencedInstance(groupId: string, instanceId: string): ProtocolError {
  return new ProtocolError(
    'FENCED_INSTANCE_ID',
    `group ${groupId}: another, newer member has group instance id ${instanceId}; two consumers ` +
      'must not share one: stop this one or give it its own',
  );
}

export function illegalGeneration(groupId: string, asked: number, is: number): ProtocolError {
  return new ProtocolError(
    'ILLEGAL_GENERATION',
    `group ${groupId} is in generation ${is}, the request is of generation ${asked}; join again`,
  );
}

export function rebalanceInProgress(groupId: string): ProtocolError {
  return new ProtocolError('REBALANCE_IN_PROGRESS', `group ${groupId} rebalances; join again`);
}

/** The same member asked the same thing again: its earlier request has nobody who waits for it. */
export function askedAgain(groupId: string, memberId: string): ProtocolError {
  return new ProtocolError(
    'REBALANCE_IN_PROGRESS',
    `group ${groupId}: member ${memberId} has sent this request again; the later one is answered`,
  );
}

export function beingDeleted(groupId: string): ProtocolError {
  return new ProtocolError(
    'COORDINATOR_NOT_AVAILABLE',
    `group ${groupId} is being deleted; try again in a moment`,
  );
}

export function groupNotFound(groupId: string): ProtocolError {
  return new ProtocolError('GROUP_ID_NOT_FOUND', `there is no group ${groupId}`);
}

/** @param action as in `delete it`. */
export function nonEmptyGroup(groupId: string, members: number, action: string): ProtocolError {
  const count = members === 1 ? '1 member' : `${members} members`;
  return new ProtocolError(
    'NON_EMPTY_GROUP',
    `group ${groupId} is active with ${count}; stop its consumers first, then ${action}`,
  );
}

/**
 * The error of members whose new generation could not be stored. They join again, and the group
 * tries anew; only what would fail each time is told as it is.
 */
export function notStored(groupId: string, cause: unknown): ProtocolError {
  if (cause instanceof ProtocolError) {
    const { errorName } = cause;
    if (errorName === 'SHUTTING_DOWN' || errorName === 'MESSAGE_TOO_LARGE') return cause;
  }
  const why = cause instanceof ProtocolError ? `: ${cause.message}` : '; the log says more';
  return new ProtocolError(
    'COORDINATOR_NOT_AVAILABLE',
    `group ${groupId}: its new generation could not be stored${why}`,
    { cause },
  );
}
