import { CLIENT_MAX_HEADER_BYTES } from '@millrace/protocol/limits';

/** Every bound and default of consumer groups and their offsets. Sizes in bytes, times in ms. */
export interface GroupConfig {
  /** The shortest session timeout that a member may ask for. */
  readonly groupMinSessionTimeoutMs: number;
  /** The longest session timeout that a member may ask for. */
  readonly groupMaxSessionTimeoutMs: number;
  /** How long the first rebalance of an empty group waits for more members. */
  readonly groupInitialRebalanceDelayMs: number;
  /** Members of one group. */
  readonly groupMaxMembers: number;
  readonly maxGroups: number;
  /** A member's metadata for one protocol, and an assignment. */
  readonly maxGroupMetadataBytes: number;
  /** Ids and metadata of all members of one group: its leader is told them in one answer. */
  readonly maxGroupMembersBytes: number;
  /** What the members of all groups take: what they say of themselves and are assigned. */
  readonly maxGroupMemoryBytes: number;
  /** Ids of new members, of all groups, that nobody has come back with yet. */
  readonly maxPendingMembers: number;
  /** How long such an id is good for, or the member's session timeout if that is shorter. */
  readonly pendingMemberTimeoutMs: number;
  /** The text that may be committed with an offset. */
  readonly offsetMetadataMaxBytes: number;
  /** Offsets of a group without members are kept for so long after its last commit. */
  readonly offsetsRetentionMs: number;
  /** How often offsets are looked at for their retention. */
  readonly offsetsRetentionCheckIntervalMs: number;
  /** The longest rebalance timeout that a member may ask for. */
  readonly maxRebalanceTimeoutMs: number;
}

const DAY_MS = 86_400_000;
const MiB = 2 ** 20;

export const defaultGroupConfig: GroupConfig = {
  groupMinSessionTimeoutMs: 1_000,
  groupMaxSessionTimeoutMs: 1_800_000,
  groupInitialRebalanceDelayMs: 0,
  groupMaxMembers: 1_000,
  maxGroups: 100_000,
  maxGroupMetadataBytes: MiB,
  maxGroupMembersBytes: 8 * MiB,
  maxGroupMemoryBytes: 256 * MiB,
  maxPendingMembers: 10_000,
  pendingMemberTimeoutMs: 30_000,
  offsetMetadataMaxBytes: 4096,
  offsetsRetentionMs: 7 * DAY_MS,
  offsetsRetentionCheckIntervalMs: 600_000,
  maxRebalanceTimeoutMs: 1_800_000,
};

/** The rest of what a client reads of one answer is left to what else is told of members. */
export const MAX_GROUP_MEMBERS_BYTES = CLIENT_MAX_HEADER_BYTES / 2;

/** Lengths of committed metadata are 16-bit integers where they are stored. */
export const MAX_OFFSET_METADATA_BYTES = 32_767;
