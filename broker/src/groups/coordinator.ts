import type {
  DeleteGroupsRequest,
  DeleteGroupsResponse,
  DescribeGroupsRequest,
  DescribeGroupsResponse,
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResponse,
  LeaveGroupRequest,
  LeaveGroupResponse,
  ListGroupsRequest,
  ListGroupsResponse,
  OffsetCommitRequest,
  OffsetCommitResponse,
  OffsetDeleteRequest,
  OffsetDeleteResponse,
  OffsetFetchRequest,
  OffsetFetchResponse,
  SyncGroupRequest,
  SyncGroupResponse,
} from '@millrace/protocol';
import { Committer } from './committer.js';
import type { CoordinatorServices, GroupClient } from './coordinator-services.js';
import { GroupAdmin } from './group-admin.js';
import { beingDeleted, requireGroupId, rowError, shuttingDown } from './group-errors.js';
import { unknownMember } from './group-errors.js';
import { listGroups } from './group-listing.js';
import { groupStats } from './group-stats.js';
import type { GroupStats } from './group-stats.js';
import { GroupTable } from './group-table.js';
import type { StoredGroup } from './group-store.js';
import { errorResponse, Joiner } from './joiner.js';
import { Membership } from './membership.js';
import { OffsetCleanup } from './offset-cleanup.js';
import { Rebalancer } from './rebalancer.js';
import { Synchronizer } from './synchronizer.js';
import { cancelReason } from './waiter.js';

/**
 * The coordinator of consumer groups, by the rules of Kafka's classic protocol
 * (`GroupMetadataManager`, KIP-62, KIP-345, KIP-394). Metadata and assignments are bytes to it, but
 * for the partitions in the assignments of consumers, which no two members may have.
 *
 * Time and ids come from outside; nothing here waits but for requests, timers and the store.
 * Methods throw or reject with a ProtocolError, but for {@link join}.
 */
export class GroupCoordinator {
  readonly #groups: GroupTable;
  readonly #rebalancer: Rebalancer;
  readonly #joiner: Joiner;
  readonly #synchronizer: Synchronizer;
  readonly #membership: Membership;
  readonly #committer: Committer;
  readonly #admin: GroupAdmin;
  readonly #cleanup: OffsetCleanup;
  #closed = false;

  constructor(private readonly services: CoordinatorServices) {
    this.#groups = new GroupTable(services);
    this.#rebalancer = new Rebalancer(services);
    this.#joiner = new Joiner(services, this.#groups, this.#rebalancer);
    this.#synchronizer = new Synchronizer(services, this.#rebalancer);
    this.#membership = new Membership(services, this.#groups, this.#rebalancer);
    this.#committer = new Committer(services, this.#groups, this.#rebalancer);
    this.#admin = new GroupAdmin(services, this.#groups, this.#rebalancer);
    this.#cleanup = new OffsetCleanup(services, this.#groups, this.#admin);
  }

  /**
   * Groups as they were stored, once, before anything else. One with members is Stable, and all of
   * them have a whole session to be heard of, so that a restart alone costs no rebalance.
   */
  restore(groups: Iterable<StoredGroup>): void {
    for (const stored of groups) {
      const group = this.#groups.restore(stored);
      for (const member of group.members.values()) this.#rebalancer.sessions.start(group, member);
    }
  }

  /** Groups, those that only have offsets included. */
  get groupCount(): number {
    return this.#groups.size;
  }

  /** What an operator watches; takes a look at each group. */
  get stats(): GroupStats {
    return groupStats(this.#groups, this.#rebalancer);
  }

  /** Every group, those that only have offsets included. */
  *groupIds(): Iterable<string> {
    for (const { groupId } of this.#groups.values()) yield groupId;
    yield* this.#groups.storedOnly();
  }

  /**
   * Enters a group, or stays in it while it rebalances. Resolves when the next generation is there,
   * which may take until the rebalance timeout. Never rejects: errors are in the response.
   *
   * @param client where the member is connected from.
   * @param cancel aborted when nobody will read the answer any more: the wait is over then, and the
   *   member has its session timeout to come back. A ProtocolError as its reason is the answer.
   */
  async join(
    request: JoinGroupRequest,
    client: GroupClient,
    cancel?: AbortSignal,
  ): Promise<JoinGroupResponse> {
    try {
      this.#requireOpen(cancel);
      return await this.#joiner.join(request, client, cancel);
    } catch (error) {
      const { errorCode, errorMessage } = this.#rowError(error, `joining ${request.groupId}`);
      return errorResponse(errorCode, errorMessage, request.memberId);
    }
  }

  /**
   * The member's assignment in the generation that it joined. Waits until the leader has sent the
   * assignments and they are stored.
   *
   * @param cancel as for {@link join}.
   * @throws ProtocolError REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION,
   *   FENCED_INSTANCE_ID, INCONSISTENT_GROUP_PROTOCOL, INVALID_ASSIGNMENT and OVERLOADED
   *   (maxGroupMemoryBytes) only for the leader, COORDINATOR_NOT_AVAILABLE,
   *   SHUTTING_DOWN, INVALID_GROUP_ID
   */
  async sync(request: SyncGroupRequest, cancel?: AbortSignal): Promise<SyncGroupResponse> {
    this.#requireOpen(cancel);
    const { groupId, memberId } = request;
    requireGroupId(groupId);
    const group = this.#groups.get(groupId);
    if (group === undefined) throw unknownMember(groupId, memberId);
    if (group.state === 'Dead') throw beingDeleted(groupId);
    return await this.#synchronizer.sync(group, request, cancel);
  }

  /**
   * @throws ProtocolError REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION,
   *   FENCED_INSTANCE_ID, COORDINATOR_NOT_AVAILABLE, SHUTTING_DOWN, INVALID_GROUP_ID
   */
  heartbeat(request: HeartbeatRequest): void {
    this.#requireOpen();
    this.#membership.heartbeat(request);
  }

  /** @throws ProtocolError SHUTTING_DOWN, INVALID_GROUP_ID */
  leave(request: LeaveGroupRequest): LeaveGroupResponse {
    this.#requireOpen();
    return this.#membership.leave(request);
  }

  /** Resolves when it is durable that the group has become empty, or that could not be stored. */
  emptied(groupId: string): Promise<void> {
    return this.#rebalancer.emptied(groupId);
  }

  /**
   * Stores offsets; resolves when they are durable. Takes those of a member of the current
   * generation for partitions that nobody else has in it, and, with an empty member id and
   * generation -1, those of anybody while the group is Empty.
   *
   * @throws ProtocolError UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID,
   *   REBALANCE_IN_PROGRESS, NON_EMPTY_GROUP, LIMIT_EXCEEDED (maxGroups),
   *   COORDINATOR_NOT_AVAILABLE, SHUTTING_DOWN, INVALID_GROUP_ID; the rest is in the rows.
   */
  async commit(request: OffsetCommitRequest): Promise<OffsetCommitResponse> {
    this.#requireOpen();
    return await this.#committer.commit(request);
  }

  /** @throws ProtocolError SHUTTING_DOWN, INVALID_GROUP_ID, LIMIT_EXCEEDED */
  fetch(request: OffsetFetchRequest): OffsetFetchResponse {
    this.#requireOpen();
    return this.#committer.fetch(request);
  }

  describe(request: DescribeGroupsRequest): DescribeGroupsResponse {
    return this.#admin.describe(request);
  }

  /** A page of the groups in some states, in the order of their ids. */
  list(request: ListGroupsRequest): ListGroupsResponse {
    return listGroups(this.#groups, request);
  }

  /** Deletes groups that nobody is in, with their offsets; each row is durable or has its error. */
  async delete(request: DeleteGroupsRequest): Promise<DeleteGroupsResponse> {
    this.#requireOpen();
    return await this.#admin.delete(request);
  }

  /** @throws ProtocolError GROUP_ID_NOT_FOUND, SHUTTING_DOWN, INVALID_GROUP_ID */
  async deleteOffsets(request: OffsetDeleteRequest): Promise<OffsetDeleteResponse> {
    this.#requireOpen();
    return await this.#committer.delete(request);
  }

  /** A topic went away: the offsets of all groups in it go, in the background. */
  topicDeleted(topicId: string): void {
    if (!this.#closed) void this.#cleanup.forgetTopic(topicId);
  }

  /**
   * Offsets that are too old go, and groups that nothing is left of. Never rejects: what fails is
   * logged and comes up the next time.
   */
  async expireOffsets(): Promise<void> {
    if (!this.#closed) await this.#cleanup.expire();
  }

  /** Everything that waits is answered SHUTTING_DOWN, and no timer is left. */
  close(): void {
    this.#closed = true;
    this.#cleanup.close();
    for (const group of this.#groups.values()) this.#rebalancer.abandon(group, 'closing');
  }

  #requireOpen(cancel?: AbortSignal): void {
    if (this.#closed) throw shuttingDown();
    if (cancel?.aborted === true) throw cancelReason(cancel);
  }

  #rowError(error: unknown, what: string): ReturnType<typeof rowError> {
    return rowError(error, what, this.services.logger);
  }
}
