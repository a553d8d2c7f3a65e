import {
  CONSUMER_PROTOCOL_TYPE,
  MAX_ENTRIES,
  MAX_FETCHED_OFFSETS,
  ProtocolError,
} from '@millrace/protocol';
import type {
  OffsetCommitEntry,
  OffsetCommitRequest,
  OffsetCommitResponse,
  OffsetDeleteRequest,
  OffsetDeleteResponse,
  OffsetFetchRequest,
  OffsetFetchResponse,
  OffsetFetchResult,
  PartitionKey,
  RowError,
} from '@millrace/protocol';
import { isSubscribed } from './consumer-ownership.js';
import type { CoordinatorServices } from './coordinator-services.js';
import type { Group } from './group.js';
import {
  beingDeleted,
  groupNotFound,
  illegalGeneration,
  noError,
  nonEmptyGroup,
  rebalanceInProgress,
  requireGroupId,
  rowError,
  unknownMember,
} from './group-errors.js';
import type { CommitRow, CommittedOffset } from './group-store.js';
import type { GroupTable } from './group-table.js';
import type { Member } from './member.js';
import type { Rebalancer } from './rebalancer.js';

const NO_COMMIT: CommittedOffset = {
  offset: -1,
  leaderEpoch: -1,
  metadata: null,
  commitTimeMs: -1,
};

/** Commits, fenced by member and generation, and what was committed. */
export class Committer {
  constructor(
    private readonly services: CoordinatorServices,
    private readonly groups: GroupTable,
    private readonly rebalancer: Rebalancer,
  ) {}

  /** @throws ProtocolError what concerns all rows; the rest is in the rows. */
  async commit(request: OffsetCommitRequest): Promise<OffsetCommitResponse> {
    const { groupId, memberId, generation } = request;
    requireGroupId(groupId);
    const ofMember = memberId !== '' || generation >= 0 || request.groupInstanceId !== null;
    const known = this.groups.get(groupId);
    if (ofMember && known === undefined) throw unknownMember(groupId, memberId);
    const group = known ?? this.groups.obtain(groupId);
    try {
      const member = ofMember ? this.#committer(group, request) : undefined;
      if (member === undefined) requireNobody(group);
      return await this.#commit(group, member, request.entries);
    } finally {
      this.groups.release(group);
    }
  }

  /** @throws ProtocolError INVALID_GROUP_ID, LIMIT_EXCEEDED */
  fetch({ groupId, entries }: OffsetFetchRequest): OffsetFetchResponse {
    const { store } = this.services;
    requireGroupId(groupId);
    if (entries !== null) {
      const found = entries.map((key) => {
        const committed = store.committed(groupId, key.topicId, key.partition);
        return this.#fetched(key, committed ?? NO_COMMIT);
      });
      return { entries: found };
    }
    const all = store.allCommitted(groupId);
    if (all.length > MAX_FETCHED_OFFSETS) {
      throw new ProtocolError(
        'LIMIT_EXCEEDED',
        `group ${groupId} has ${all.length} offsets, more than the ${MAX_FETCHED_OFFSETS} of one ` +
          `answer; ask for them by topic id and partition, at most ${MAX_ENTRIES} at a time`,
      );
    }
    return { entries: all.map((row) => this.#fetched(row, row)) };
  }

  /** @throws ProtocolError what concerns all rows; the rest is in the rows. */
  async delete({ groupId, entries }: OffsetDeleteRequest): Promise<OffsetDeleteResponse> {
    requireGroupId(groupId);
    if (!this.groups.exists(groupId)) throw groupNotFound(groupId);
    const group = this.groups.get(groupId);
    if (group?.state === 'Dead') throw groupNotFound(groupId);
    const rows = entries.map((key) => ({ key, error: this.#mayDelete(group, key) }));
    const good = rows.filter(({ error }) => error === noError).map(({ key }) => key);
    let outcome = noError;
    try {
      if (good.length > 0) await this.services.store.deleteOffsets(groupId, good);
    } catch (error) {
      outcome = rowError(error, `deleting offsets of group ${groupId}`, this.services.logger);
    }
    return {
      entries: rows.map(({ key: { topicId, partition }, error }) => ({
        ...{ topicId, partition },
        ...(error === noError ? outcome : error),
      })),
    };
  }

  /** The member that commits, whose session goes on by that. */
  #committer(group: Group, request: OffsetCommitRequest): Member {
    const { groupId } = group;
    if (group.state === 'Dead') throw beingDeleted(groupId);
    const member = group.requireMember(request.memberId, request.groupInstanceId);
    if (request.generation !== group.generation) {
      throw illegalGeneration(groupId, request.generation, group.generation);
    }
    // It does not know yet what it has in this generation; as in Kafka.
    if (group.state === 'CompletingRebalance') throw rebalanceInProgress(groupId);
    this.rebalancer.sessions.touch(group, member);
    return member;
  }

  async #commit(
    group: Group,
    member: Member | undefined,
    entries: readonly OffsetCommitEntry[],
  ): Promise<OffsetCommitResponse> {
    const { clock, logger, store } = this.services;
    const { groupId } = group;
    const commitTimeMs = clock.nowMs();
    const errors = entries.map((entry) => this.#refusal(group, member, entry));
    const rows: CommitRow[] = [];
    for (const [index, entry] of entries.entries()) {
      if (errors[index] !== undefined) continue;
      const { topicId, partition, offset, leaderEpoch, metadata } = entry;
      rows.push({ topicId, partition, offset, leaderEpoch, metadata, commitTimeMs });
    }
    let outcome = noError;
    group.commitsUnderWay += 1;
    try {
      if (rows.length > 0) await store.commit(groupId, rows);
    } catch (error) {
      outcome = rowError(error, `a commit of group ${groupId}`, logger);
    } finally {
      group.commitsUnderWay -= 1;
    }
    return {
      entries: entries.map(({ topicId, partition }, index) => {
        const error = errors[index];
        if (error === undefined) return { topicId, partition, ...outcome };
        return { topicId, partition, ...rowError(error, 'a commit', logger) };
      }),
    };
  }

  /** Why one row is not stored. */
  #refusal(
    group: Group,
    member: Member | undefined,
    { topicId, partition, metadata }: OffsetCommitEntry,
  ): ProtocolError | undefined {
    const { config, topics } = this.services;
    const topic = topics.nameOf(topicId);
    if (topic === undefined) {
      return new ProtocolError(
        'UNKNOWN_TOPIC_ID',
        `no topic has the id ${topicId}; it may have been deleted, so refresh the metadata`,
      );
    }
    if (!topics.hasPartition(topicId, partition)) {
      return new ProtocolError(
        'UNKNOWN_TOPIC_OR_PARTITION',
        `topic ${topic} has no partition ${partition}`,
      );
    }
    const metadataBytes = metadata === null ? 0 : Buffer.byteLength(metadata);
    if (metadataBytes > config.offsetMetadataMaxBytes) {
      return new ProtocolError(
        'OFFSET_METADATA_TOO_LARGE',
        `${topic}-${partition}: ${metadataBytes} bytes of metadata, more than the ` +
          `offsetMetadataMaxBytes of ${config.offsetMetadataMaxBytes}`,
      );
    }
    if (member === undefined) return undefined;
    const owner = group.ownership?.ownerOf(topic, partition);
    if (owner === undefined || owner === member.memberId) return undefined;
    return new ProtocolError(
      'NOT_PARTITION_OWNER',
      `${topic}-${partition} is assigned to ${owner} in generation ${group.generation} of group ` +
        `${group.groupId}, not to ${member.memberId}; its offset stays`,
    );
  }

  #fetched(
    { topicId, partition }: PartitionKey,
    { offset, leaderEpoch, metadata, commitTimeMs }: CommittedOffset,
  ): OffsetFetchResult {
    const topic = this.services.topics.nameOf(topicId) ?? '';
    return { topicId, topic, partition, ...noError, offset, leaderEpoch, metadata, commitTimeMs };
  }

  /** What a group still consumes keeps its offsets. */
  #mayDelete(group: Group | undefined, { topicId }: PartitionKey): RowError {
    if (group === undefined || group.members.size === 0) return noError;
    const { groupId, protocolName, protocolType } = group;
    const { logger, topics } = this.services;
    if (protocolType !== CONSUMER_PROTOCOL_TYPE) {
      const error = nonEmptyGroup(groupId, group.members.size, 'delete its offsets');
      return rowError(error, 'deleting offsets', logger);
    }
    const topic = topics.nameOf(topicId);
    if (topic === undefined) return noError;
    const members = [...group.members.values()];
    const wanted = members.some((member) => isSubscribed(member, protocolName, topic));
    if (!wanted && group.ownership?.hasTopic(topic) !== true) return noError;
    const error = new ProtocolError(
      'GROUP_SUBSCRIBED_TO_TOPIC',
      `group ${groupId} consumes topic ${topic}; stop its consumers before deleting its offsets`,
    );
    return rowError(error, 'deleting offsets', logger);
  }
}

/** @throws ProtocolError unless the offsets may be set by someone who is no member. */
function requireNobody(group: Group): void {
  if (group.state === 'Dead') throw beingDeleted(group.groupId);
  if (group.state === 'Empty') return;
  throw nonEmptyGroup(group.groupId, group.members.size, 'set its offsets');
}
