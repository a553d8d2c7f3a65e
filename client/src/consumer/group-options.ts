import { InvalidArgumentError } from '../errors.js';
import type { MembershipOptions } from '../group/membership.js';
import { integerOption } from '../util/check.js';
import { checkKeys, type KeysOf } from '../util/known-keys.js';
import {
  checkOutOfRange,
  resolveFetchOptions,
  type FetchOptions,
  type OutOfRangePolicy,
  type StreamOptions,
} from './fetch-options.js';
import { checkStart, type StartPosition } from './options.js';

/** Defaults of a group consumer beyond those of any consumer, in milliseconds. */
export const groupConsumerDefaults = { autoCommitIntervalMs: 1_000 } as const;

/** Options of a consumer that shares its topics with the other members of a group. */
export interface GroupConsumerOptions
  extends FetchOptions, Omit<MembershipOptions, 'metadataMaxAgeMs' | 'signal'> {
  /**
   * Where to start in a partition of which the group has committed nothing. Default
   * `'beginning'`, so that nothing is skipped (Kafka's default is the end). Anything else is
   * committed when the partition is assigned, also without `autoCommit`, so that the next member
   * begins there, too. A partition that comes into being after this consumer has started is read
   * from its beginning.
   */
  readonly from?: StartPosition | undefined;
  /**
   * What to do where the committed offset is not (or no longer) in the log, because retention
   * removed it. Default `'beginning'`, whatever `from` says: what is left is read, and a `warning`
   * event tells of it. With `'fail'` the iteration throws OffsetOutOfRangeError.
   */
  readonly onOutOfRange?: OutOfRangePolicy | undefined;
  /**
   * Whether handled positions are committed in the background: every `autoCommitIntervalMs`, when
   * a partition is given up, and by `close()`. Never ahead of what was handled. Default true.
   */
  readonly autoCommit?: boolean | undefined;
  /** Default 1,000. */
  readonly autoCommitIntervalMs?: number | undefined;
  /**
   * Ends the iteration by throwing the signal's reason, and leaves the group as `close()` does;
   * that ends it quietly.
   */
  readonly signal?: AbortSignal | undefined;
}

/** Options with every default filled in; those of the membership are its own to fill. */
export interface ResolvedGroupOptions extends StreamOptions {
  readonly membership: MembershipOptions;
  readonly from: StartPosition;
  readonly autoCommit: boolean;
  readonly autoCommitIntervalMs: number;
  readonly signal: AbortSignal | undefined;
}

const optionKeys: KeysOf<Required<GroupConsumerOptions>> = {
  group: true,
  topics: true,
  assignors: true,
  sessionTimeoutMs: true,
  heartbeatIntervalMs: true,
  rebalanceTimeoutMs: true,
  maxPollIntervalMs: true,
  groupInstanceId: true,
  from: true,
  onOutOfRange: true,
  autoCommit: true,
  autoCommitIntervalMs: true,
  maxBytes: true,
  prefetchBytes: true,
  maxWaitMs: true,
  minBytes: true,
  checkCrc: true,
  signal: true,
};

/** @throws InvalidArgumentError that names the option and what it takes. */
export function resolveGroupOptions(options: GroupConsumerOptions): ResolvedGroupOptions {
  checkKeys('group consumer option', options, optionKeys);
  const { autoCommit = true, signal } = options;
  if (typeof autoCommit !== 'boolean') {
    throw new InvalidArgumentError(`autoCommit must be true or false, not ${String(autoCommit)}`);
  }
  const { group, topics, assignors, groupInstanceId } = options;
  const { sessionTimeoutMs, heartbeatIntervalMs, rebalanceTimeoutMs, maxPollIntervalMs } = options;
  const times = { sessionTimeoutMs, heartbeatIntervalMs, rebalanceTimeoutMs, maxPollIntervalMs };
  return {
    ...resolveFetchOptions(options),
    exitAtEnd: false,
    onOutOfRange: checkOutOfRange(options.onOutOfRange ?? 'beginning'),
    membership: { group, topics, assignors, groupInstanceId, ...times },
    from: checkStart(options.from ?? 'beginning'),
    autoCommit,
    autoCommitIntervalMs: integerOption(
      'autoCommitIntervalMs',
      options.autoCommitIntervalMs,
      groupConsumerDefaults.autoCommitIntervalMs,
      { minimum: 1, maximum: 3_600_000 },
    ),
    signal,
  };
}
