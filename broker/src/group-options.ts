import { MAX_GROUP_METADATA_BYTES } from '@millrace/protocol/limits';
import { bytes, count, millis } from './config-option.js';
import type { ConfigOption } from './config-option.js';
import {
  defaultGroupConfig as groups,
  type GroupConfig,
  MAX_GROUP_MEMBERS_BYTES,
  MAX_OFFSET_METADATA_BYTES,
} from './groups/group-config.js';

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Bounds on consumer groups; their defaults are those of the groups. */
export const groupOptions = {
  groupMinSessionTimeoutMs: millis(
    { default: groups.groupMinSessionTimeoutMs, min: 1, max: DAY_MS },
    'The shortest session timeout that a group member may ask for.',
  ),
  groupMaxSessionTimeoutMs: millis(
    { default: groups.groupMaxSessionTimeoutMs, min: 1, max: DAY_MS },
    'The longest session timeout that a group member may ask for.',
  ),
  groupInitialRebalanceDelayMs: millis(
    { default: groups.groupInitialRebalanceDelayMs, min: 0, max: HOUR_MS },
    'How long the first rebalance of an empty group waits for more members.',
  ),
  groupMaxMembers: count(
    { default: groups.groupMaxMembers, min: 1, max: 10_000 },
    'Members of one group at a time.',
  ),
  maxGroups: count({ default: groups.maxGroups, min: 1, max: 10_000_000 }, 'Groups at a time.'),
  maxGroupMetadataBytes: bytes(
    { default: groups.maxGroupMetadataBytes, min: KiB, max: MAX_GROUP_METADATA_BYTES },
    'What a member may say of itself for one assignor, and what it may be assigned.',
  ),
  maxGroupMembersBytes: bytes(
    { default: groups.maxGroupMembersBytes, min: KiB, max: MAX_GROUP_MEMBERS_BYTES },
    'What all members of one group may say of themselves for one assignor, their ids included.',
  ),
  maxGroupMemoryBytes: bytes(
    { default: groups.maxGroupMemoryBytes, min: MiB, max: Number.MAX_SAFE_INTEGER },
    'What the members of all groups may take: what they say of themselves and are assigned, and ' +
      '1 KiB for each. More are told to try again later.',
  ),
  maxPendingMembers: count(
    { default: groups.maxPendingMembers, min: 1, max: 1_000_000 },
    'Ids given to new members of all groups that they have not joined with yet.',
  ),
  pendingMemberTimeoutMs: millis(
    { default: groups.pendingMemberTimeoutMs, min: 1, max: HOUR_MS },
    'How long a new member may take to join with its id, if its session timeout is not shorter.',
  ),
  offsetMetadataMaxBytes: bytes(
    { default: groups.offsetMetadataMaxBytes, min: 0, max: MAX_OFFSET_METADATA_BYTES },
    'The text that may be committed with an offset.',
  ),
  offsetsRetentionMs: millis(
    { default: groups.offsetsRetentionMs, min: 1, max: Number.MAX_SAFE_INTEGER },
    'Offsets of a group without members are kept for so long after its last commit.',
  ),
  offsetsRetentionCheckIntervalMs: millis(
    { default: groups.offsetsRetentionCheckIntervalMs, min: 10, max: DAY_MS },
    'How often offsets are looked at for their retention.',
  ),
  maxRebalanceTimeoutMs: millis(
    { default: groups.maxRebalanceTimeoutMs, min: 1, max: DAY_MS },
    'The longest that a group member may ask a rebalance to wait for it.',
  ),
} as const satisfies { readonly [Key in keyof GroupConfig]: ConfigOption<GroupConfig[Key]> };
