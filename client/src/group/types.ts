import type { MillraceError } from '../errors.js';
import type { Assignor } from './assignors/assignor.js';

/** A partition that a member may own. */
export interface TopicPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
}

/** Names of the assignors that this client brings along; Kafka's names for Kafka's definitions. */
export type AssignorName = 'range' | 'roundrobin' | 'sticky' | 'cooperative-sticky';

/** Told of what a member gets and gives up. No two of its callbacks run at a time, but `onCutOff`. */
export interface MembershipListener {
  /**
   * Give these up: finish what is being handled, commit. Until it resolves they count as owned,
   * and are reported as owned in a join that comes meanwhile. What it throws ends the membership.
   */
  onRevoked(partitions: readonly TopicPartition[]): Promise<void>;
  /** Only what is new; with none only for the first assignment. What it throws is final, too. */
  onAssigned(added: readonly TopicPartition[]): Promise<void>;
  /**
   * The group has thrown this member out: from this call on nothing more of these may be given out
   * or committed. The one callback that comes at once, whatever other is still running;
   * {@link onLost} follows in its turn. A partition that comes again is another.
   */
  onCutOff(partitions: readonly TopicPartition[]): void;
  /**
   * Taken away without a chance to commit, after {@link onCutOff}. Not told of what `onRevoked`
   * was told of before, nor of what `onAssigned` was never told of.
   */
  onLost(partitions: readonly TopicPartition[]): Promise<void>;
  /** Final, at most once; nothing is owned any more. */
  onFailed(error: MillraceError): void;
}

/** Times in milliseconds. */
export interface MembershipOptions {
  readonly group: string;
  /** Names, or a pattern that all topics are held against but those that begin with `__`. */
  readonly topics: readonly string[] | RegExp;
  /** Those that this member accepts, the preferred first. Default `['cooperative-sticky']`. */
  readonly assignors?: readonly (AssignorName | Assignor)[] | undefined;
  /** Without a heartbeat for so long the broker gives the partitions to others. Default 30,000. */
  readonly sessionTimeoutMs?: number | undefined;
  /**
   * How soon a rebalance is noticed. At most, and for short sessions by default, a third of
   * `sessionTimeoutMs`. Default 1,000.
   */
  readonly heartbeatIntervalMs?: number | undefined;
  /**
   * How long the others wait for this member in a rebalance, if it is alive. Default
   * `maxPollIntervalMs`, 1,800,000 at most, so that a handler that blocks the event loop costs no
   * partitions before that ends it.
   */
  readonly rebalanceTimeoutMs?: number | undefined;
  /**
   * How long one message (with `batches()` one batch) or one call of a hook may take; 0 or
   * Infinity = for ever. Default 300,000.
   */
  readonly maxPollIntervalMs?: number | undefined;
  /** How old what is known of topics may become. Default 300,000. */
  readonly metadataMaxAgeMs?: number | undefined;
  /** Makes the member static (KIP-345): it may restart within its session without a rebalance. */
  readonly groupInstanceId?: string | undefined;
  /** Ends joining; does not leave. */
  readonly signal?: AbortSignal | undefined;
}

/** How a member ends. */
export interface LeaveOptions {
  /**
   * Whether the group is told, so that others get the partitions at once; else that takes until the
   * session times out, and a member that returns before finds them as it left them. Default: true,
   * but not for static members (as in Kafka, KIP-345 and KIP-1092).
   */
  readonly leave?: boolean | undefined;
}

/** A position to commit. */
export interface CommitRow extends TopicPartition {
  /** The next message to read. */
  readonly offset: number;
  /** Of the last message handled; -1 = not known. */
  readonly leaderEpoch: number;
  readonly metadata: string | null;
}

/** A position that was committed. */
export interface CommittedPosition {
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string | null;
  /** Unix time in ms. */
  readonly commitTimeMs: number;
}
