import type { PartitionKey, ProtocolError } from '@millrace/protocol';

/** Where a group is in a partition. */
export interface CommittedOffset {
  /** Of the next record to read. */
  readonly offset: number;
  /** Of the record before; -1 = not known. */
  readonly leaderEpoch: number;
  /** What the committer added. */
  readonly metadata: string | null;
  /** Milliseconds since 1970. */
  readonly commitTimeMs: number;
}

/** One partition of a commit. Topics count by id: one made again inherits nothing. */
export interface CommitRow extends CommittedOffset, PartitionKey {}

/** What a member said of itself in a protocol: opaque bytes. */
export interface MemberProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

/** A member as it is stored. */
export interface StoredMember {
  readonly memberId: string;
  /** Of a static member (KIP-345). */
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** Only the one that the group has chosen. */
  readonly protocols: readonly MemberProtocol[];
  readonly assignment: Buffer;
}

/** A group as it is at the end of a rebalance. */
export interface StoredGroup {
  readonly groupId: string;
  readonly protocolType: string;
  /** null: the group has no members. */
  readonly protocolName: string | null;
  readonly generation: number;
  /** null: the group has no members. */
  readonly leaderId: string | null;
  /** When the group came into its state, in milliseconds since 1970. */
  readonly stateTimeMs: number;
  readonly members: readonly StoredMember[];
}

/** Hears which groups have offsets, in the very turn in which that changes. */
export interface OffsetGroupsWatcher {
  /** The group has offsets now, and had none. */
  appeared(groupId: string): void;
  /** The last offset of the group is gone. */
  disappeared(groupId: string): void;
}

/**
 * What the coordinator needs to be durable. Changes of one group become durable and visible in the
 * order of the calls. Each promise resolves when the change is as durable as `acks=all` makes it,
 * and rejects with a ProtocolError when it is not; what is in memory changes no sooner.
 */
export interface GroupStore {
  /** Why it is not known which groups there are: what is stored cannot be read. */
  readonly problem?: ProtocolError | undefined;
  /** Stores the group, in place of what was stored of it. */
  storeGroup(group: StoredGroup): Promise<void>;
  /** Stores all rows or none. */
  commit(groupId: string, rows: readonly CommitRow[]): Promise<void>;
  /** Removes the group and all its offsets. */
  deleteGroup(groupId: string): Promise<void>;
  deleteOffsets(groupId: string, keys: readonly PartitionKey[]): Promise<void>;
  committed(groupId: string, topicId: string, partition: number): CommittedOffset | undefined;
  allCommitted(groupId: string): readonly CommitRow[];
  hasOffsets(groupId: string): boolean;
  /** Every group id that has offsets. */
  groupIds(): Iterable<string>;
  /** One watcher, from now on: it takes the place of the one before. */
  watchGroups(watcher: OffsetGroupsWatcher): void;
}
