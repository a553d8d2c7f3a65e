import type { GroupState } from '@millrace/protocol';
import type { SignalOption } from '../options.js';
import type { PartitionOfTopic } from './topic-types.js';

export type { GroupState } from '@millrace/protocol';

/** Which groups to list. */
export interface ListGroupsOptions extends SignalOption {
  /** Only groups in one of these states. Default all. */
  readonly states?: readonly GroupState[] | undefined;
}

/** A group in a list. */
export interface GroupListing {
  readonly groupId: string;
  /** `consumer` of consumers; empty of a group that has had no members. */
  readonly protocolType: string;
  readonly state: GroupState;
  readonly members: number;
}

/** A member of a group. */
export interface GroupMember {
  readonly memberId: string;
  /** Set by a static member; null = none. */
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  /** Where it connects from. */
  readonly clientHost: string;
  /**
   * What it is to read in this generation, ordered; undefined where that is not known: of another
   * protocol than `consumer`, or an assignment that cannot be decoded.
   */
  readonly partitions: readonly PartitionOfTopic[] | undefined;
  /** The assignment as the leader of the group gave it. */
  readonly assignment: Buffer;
}

/** A group and its members. */
export interface GroupDescription {
  readonly groupId: string;
  readonly state: GroupState;
  /** `consumer` of consumers. */
  readonly protocolType: string;
  /** The assignor that its members agreed on, such as `cooperative-sticky`; empty while none. */
  readonly protocolName: string;
  /** Node id of its coordinator. */
  readonly coordinator: number;
  /** Counts rebalances; -1 = none yet. */
  readonly generation: number;
  /** Ordered by client id and member id. */
  readonly members: readonly GroupMember[];
}

/** Where a group is in a partition. */
export interface GroupOffset extends PartitionOfTopic {
  /** The message after the last that is done; null: nothing is committed. */
  readonly committedOffset: number | null;
  /** First offset that can be read; null = not known, as of a partition that is offline. */
  readonly startOffset: number | null;
  /** Where reading ends at present (high watermark); null = not known. */
  readonly endOffset: number | null;
  /**
   * Messages that the group has yet to read, at the most; null without a commit or an end.
   *
   * It is `endOffset` less the committed offset (or `startOffset` where that is higher: what was
   * deleted nobody will read). Offsets have gaps after a crash and after compaction, so the
   * messages can be fewer. It is 0 when there is nothing to read, whatever the offsets are.
   */
  readonly lag: number | null;
  /** What the committer attached; null = nothing. */
  readonly metadata: string | null;
  /** Unix time in ms of the commit; null without one. */
  readonly commitTimeMs: number | null;
}

/** Which partitions of a group are meant. */
export interface GroupOffsetsOptions extends SignalOption {
  /** All partitions of these topics. Default those that the group has commits or members in. */
  readonly topics?: readonly string[] | undefined;
}

/** Where a reset goes to. */
export type ResetTarget =
  | 'beginning'
  | 'end'
  /** This offset in every partition, or the nearest that it holds. */
  | { readonly offset: number }
  /** So many messages on from the committed offset, or back when negative. */
  | { readonly shift: number }
  /** The first message at or after the time (Unix, ms), the end when there is none. */
  | { readonly timestampMs: number }
  | Date;

/** What to reset and how. */
export interface ResetOffsetsOptions extends SignalOption {
  readonly to: ResetTarget;
  /** Every partition of these topics. */
  readonly topics?: readonly string[] | undefined;
  /** These partitions; with `topics`, both. Default all partitions of topics with a commit. */
  readonly partitions?: readonly PartitionOfTopic[] | undefined;
  /** Whether to tell only what would be done. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** What a reset does to a partition. */
export interface ResetOffset extends PartitionOfTopic {
  /** Committed before; null = nothing. */
  readonly oldOffset: number | null;
  readonly newOffset: number;
  /** The offset that was asked for, where the partition does not reach that far; else null. */
  readonly clampedFrom: number | null;
}
