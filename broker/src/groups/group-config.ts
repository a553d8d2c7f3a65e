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

export const defaultGroupConfig: GroupConfig = {
  groupMinSessionTimeoutMs: 1_000,
  groupMaxSessionTimeoutMs: 1_800_000,
  groupInitialRebalanceDelayMs: 0,
  groupMaxMembers: 1_000,
  maxGroups: 100_000,
  maxGroupMetadataBytes: 1024 * 1024,
  offsetMetadataMaxBytes: 4096,
  offsetsRetentionMs: 7 * DAY_MS,
  offsetsRetentionCheckIntervalMs: 600_000,
  maxRebalanceTimeoutMs: 1_800_000,
};

/** Lengths of committed metadata are 16-bit integers where they are stored. */
export const MAX_OFFSET_METADATA_BYTES = 32_767;
