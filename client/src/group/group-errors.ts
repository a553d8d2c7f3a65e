import { ProtocolError, type ErrorName } from '@millrace/protocol';
import {
  BrokerError,
  FencedInstanceError,
  MaxPollIntervalExceededError,
  toMillraceError,
  type ErrorContext,
  type MillraceError,
} from '../errors.js';
import { quoted } from '../util/text.js';

/** A group and, for a static member, its name in it. */
export interface GroupName {
  readonly group: string;
  readonly groupInstanceId: string | null;
}

/** What to do about errors that end a membership. */
const advice: Partial<Record<MillraceError['code'], string>> = {
  INCONSISTENT_GROUP_PROTOCOL:
    'all members of a group must have an assignor in common: give this one the same `assignors`, ' +
    'or another `group`',
  INVALID_SESSION_TIMEOUT: 'change `sessionTimeoutMs`, or the limits of the broker',
  GROUP_MAX_SIZE_REACHED: 'close other members, or raise the limit of the broker',
  INVALID_GROUP_ID: 'change `group`',
  INVALID_ASSIGNMENT: 'check the assignor that this group uses',
};

/** An error of a row, as a thing to throw; undefined for none. */
export function rowError(
  row: { readonly errorCode: number; readonly errorMessage: string | null },
  context: ErrorContext & { readonly action: string },
): BrokerError | undefined {
  if (row.errorCode === 0) return undefined;
  return new BrokerError(ProtocolError.fromCode(row.errorCode, row.errorMessage), context);
}

/** An error that ends a membership, with what to do about it. */
export function finalError(thrown: unknown, name: GroupName): MillraceError {
  const error = toMillraceError(thrown);
  if (error.code === 'FENCED_INSTANCE_ID') return fencedInstance(name, error);
  const hint = advice[error.code];
  if (hint === undefined || !(error instanceof BrokerError)) return error;
  const errorName = error.code as ErrorName;
  const message = `${error.message.replace(/\.$/, '')}; ${hint}`;
  return new BrokerError(new ProtocolError(errorName, message, { cause: error.cause }));
}

/** Somebody else has this member's place. */
export function fencedInstance(name: GroupName, cause: unknown): FencedInstanceError {
  const { group } = name;
  const groupInstanceId = name.groupInstanceId ?? '';
  return new FencedInstanceError(
    `Another consumer has joined group ${quoted(group)} as groupInstanceId ` +
      `${quoted(groupInstanceId)} and taken the place of this one; give each process an id of ` +
      'its own, and stop the old one before the new one starts',
    { group, groupInstanceId, cause },
  );
}

/**
 * The application has not taken its next message for too long, or a hook of it does not end.
 *
 * @param hook which one, in words
 */
export function tookTooLong(
  options: { readonly group: string; readonly maxPollIntervalMs: number },
  hook?: string,
): MaxPollIntervalExceededError {
  const { group, maxPollIntervalMs } = options;
  const [what, faster] =
    hook === undefined
      ? ['One message (with batches() one batch)', 'Make the handler faster']
      : [capitalized(hook), 'See to it that the hook ends'];
  return new MaxPollIntervalExceededError(
    `${what} took longer than maxPollIntervalMs (${maxPollIntervalMs} ms), so this consumer left ` +
      `group ${quoted(group)} and others get its partitions, from the last commit on. ` +
      `${faster}, or set maxPollIntervalMs higher, or 0 for no limit`,
    { group, maxPollIntervalMs },
  );
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
