import { MAX_GROUP_ID_LENGTH, MAX_INT32, MAX_STRING_LENGTH } from '@millrace/protocol';
import { InvalidArgumentError } from '../errors.js';
import { integerOption } from '../util/check.js';
import { resolveAssignors, type Assignor } from './assignors/index.js';
import type { MembershipOptions } from './types.js';

/** Default of `rebalanceTimeoutMs` at most: the `maxRebalanceTimeoutMs` of a broker. */
const MAX_DEFAULT_REBALANCE_TIMEOUT_MS = 1_800_000;

/** Defaults of a member of a group, in milliseconds; `rebalanceTimeoutMs` is as long as a poll. */
export const membershipDefaults = {
  sessionTimeoutMs: 30_000,
  heartbeatIntervalMs: 1_000,
  maxPollIntervalMs: 300_000,
  metadataMaxAgeMs: 300_000,
} as const;

/** Heartbeats that fit into a session at least, so that one that is lost ends nothing. */
const MIN_HEARTBEATS_PER_SESSION = 3;

/** Options with every default filled in. */
export interface ResolvedMembershipOptions {
  readonly group: string;
  readonly topics: readonly string[] | RegExp;
  readonly assignors: readonly Assignor[];
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly rebalanceTimeoutMs: number;
  /** Infinity = off. */
  readonly maxPollIntervalMs: number;
  readonly metadataMaxAgeMs: number;
  readonly groupInstanceId: string | null;
  readonly signal: AbortSignal | undefined;
}

/** @throws InvalidArgumentError that names the option and what it takes */
export function resolveMembershipOptions(options: MembershipOptions): ResolvedMembershipOptions {
  const d = membershipDefaults;
  const { group, topics, maxPollIntervalMs, groupInstanceId } = options;
  checkName('group', group, MAX_GROUP_ID_LENGTH);
  if (groupInstanceId !== undefined) {
    checkName('groupInstanceId', groupInstanceId, MAX_STRING_LENGTH);
  }
  const time = { minimum: 1, maximum: MAX_INT32 };
  const session = integerOption('sessionTimeoutMs', options.sessionTimeoutMs, d.sessionTimeoutMs, {
    ...time,
    minimum: MIN_HEARTBEATS_PER_SESSION,
  });
  const longestInterval = Math.floor(session / MIN_HEARTBEATS_PER_SESSION);
  const endless = maxPollIntervalMs === 0 || maxPollIntervalMs === Infinity;
  const longestPollMs = endless
    ? Infinity
    : integerOption('maxPollIntervalMs', maxPollIntervalMs, d.maxPollIntervalMs, time);
  return {
    group,
    topics: checkTopics(topics),
    assignors: resolveAssignors(options.assignors ?? ['cooperative-sticky']),
    sessionTimeoutMs: session,
    heartbeatIntervalMs: integerOption(
      'heartbeatIntervalMs (a third of sessionTimeoutMs at most)',
      options.heartbeatIntervalMs,
      Math.min(d.heartbeatIntervalMs, longestInterval),
      { minimum: 1, maximum: longestInterval },
    ),
    rebalanceTimeoutMs: integerOption(
      'rebalanceTimeoutMs',
      options.rebalanceTimeoutMs,
      // A live member is at its message for so long at most; dead ones go by their session. Less
      // than a session would be less than the members need to hear of the rebalance.
      Math.min(Math.max(longestPollMs, session), MAX_DEFAULT_REBALANCE_TIMEOUT_MS),
      time,
    ),
    maxPollIntervalMs: longestPollMs,
    metadataMaxAgeMs: integerOption(
      'metadataMaxAgeMs',
      options.metadataMaxAgeMs,
      d.metadataMaxAgeMs,
      time,
    ),
    groupInstanceId: groupInstanceId ?? null,
    signal: options.signal,
  };
}

function checkTopics(topics: readonly string[] | RegExp): readonly string[] | RegExp {
  if (topics instanceof RegExp) {
    // A global or sticky pattern remembers where it stopped, and would miss every other topic.
    return new RegExp(topics.source, topics.flags.replace(/[gy]/g, ''));
  }
  if (!Array.isArray(topics)) {
    throw new InvalidArgumentError(
      "topics must be an array of names, such as ['orders'], or a regular expression",
    );
  }
  if (topics.length === 0) {
    throw new InvalidArgumentError(
      'topics must name at least one topic, or be a regular expression',
    );
  }
  return [...new Set(topics as readonly string[])];
}

function checkName(name: string, value: unknown, maxLength: number): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= maxLength) return;
  throw new InvalidArgumentError(`${name} must be a string of 1 to ${maxLength} characters`);
}
