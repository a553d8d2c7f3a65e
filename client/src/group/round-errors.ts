import { ProtocolError, type ErrorName } from '@millrace/protocol';
import { BrokerError, MillraceError, toMillraceError } from '../errors.js';
import { counted, quoted } from '../util/text.js';

/*
 * What is wrong when a rebalance fails for what this client sent: who made it, and what to change.
 */

/** @param topics how many the member subscribes to */
export function joinError(
  thrown: unknown,
  group: string,
  told: { readonly topics: number; readonly assignors: number },
): MillraceError {
  const error = toMillraceError(thrown);
  if (error.code !== 'FRAME_TOO_LARGE') return error;
  const { topics, assignors } = told;
  return explained(
    error,
    `What this consumer tells when it joins group ${quoted(group)} (${counted(topics, 'topic')} ` +
      `and what it owns, for each of ${counted(assignors, 'assignor')}) is too large; subscribe ` +
      'to fewer topics, or use one assignor',
  );
}

/** @param memberCount how many members the assignments are for */
export function syncError(
  thrown: unknown,
  group: string,
  assignor: string,
  memberCount: number,
): MillraceError {
  const error = toMillraceError(thrown);
  const made = `What assignor ${quoted(assignor)} of this consumer, the leader of group `;
  if (error.code === 'INVALID_ASSIGNMENT') {
    return explained(error, `${made}${quoted(group)}, gave out cannot be`);
  }
  if (error.code !== 'FRAME_TOO_LARGE') return error;
  return explained(
    error,
    `${made}${quoted(group)}, gives out to ${counted(memberCount, 'member')} is too large; ` +
      'subscribe to fewer topics, or make groups of fewer members',
  );
}

/** A member of the group told something that is no subscription; the others go on without it. */
export function unreadableMember(
  group: string,
  member: { readonly memberId: string; readonly groupInstanceId: string | null },
  cause: ProtocolError,
): MillraceError {
  const { memberId, groupInstanceId } = member;
  const alias = groupInstanceId === null ? '' : ` (groupInstanceId ${quoted(groupInstanceId)})`;
  const message =
    `Member ${quoted(memberId)}${alias} of group ${quoted(group)} gets no partitions, for its ` +
    `subscription cannot be read: ${cause.message.replace(/\.$/, '')}; update it, or give it ` +
    'another group';
  return new MillraceError('INVALID_REQUEST', message, false, { cause });
}

function explained(error: MillraceError, what: string): BrokerError {
  const { broker, message, cause } = error;
  const name = error.code as ErrorName;
  return new BrokerError(new ProtocolError(name, `${what}: ${message}`, { cause }), { broker });
}
