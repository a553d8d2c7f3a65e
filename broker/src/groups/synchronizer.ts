import { ProtocolError } from '@millrace/protocol';
import type { SyncGroupRequest, SyncGroupResponse } from '@millrace/protocol';
import { ConsumerOwnership } from './consumer-ownership.js';
import type { CoordinatorServices } from './coordinator-services.js';
import type { Assignments, Group } from './group.js';
import { askedAgain, illegalGeneration, rebalanceInProgress } from './group-errors.js';
import { unknownMember } from './group-errors.js';
import type { Member } from './member.js';
import type { Rebalancer } from './rebalancer.js';
import { Waiter } from './waiter.js';

/**
 * Assignments that a leader may spoil one after the other. Each time the group rebalances; after
 * the last one without this leader, or it would do so for ever.
 */
const MAX_INVALID_ASSIGNMENTS = 2;

/** Brings what the leader gives out to the members: checked, stored, then told. */
export class Synchronizer {
  constructor(
    private readonly services: CoordinatorServices,
    private readonly rebalancer: Rebalancer,
  ) {}

  /**
   * Resolves when the leader's assignments are stored; at once in a Stable group.
   *
   * @throws ProtocolError also synchronously.
   */
  sync(
    group: Group,
    request: SyncGroupRequest,
    cancel: AbortSignal | undefined,
  ): Promise<SyncGroupResponse> {
    const { memberId, groupInstanceId } = request;
    const member = group.requireMember(memberId, groupInstanceId);
    requireSameTerms(group, request);
    switch (group.state) {
      case 'PreparingRebalance':
        this.rebalancer.sessions.touch(group, member);
        throw rebalanceInProgress(group.groupId);
      case 'CompletingRebalance':
        return this.#awaitAssignment(group, member, request, cancel);
      case 'Stable':
        member.synced = true;
        this.rebalancer.sessions.touch(group, member);
        if (group.allSynced) group.setTimer(undefined);
        return Promise.resolve(syncResponse(group, member));
      default:
        throw unknownMember(group.groupId, memberId);
    }
  }

  #awaitAssignment(
    group: Group,
    member: Member,
    request: SyncGroupRequest,
    cancel: AbortSignal | undefined,
  ): Promise<SyncGroupResponse> {
    const { sessions } = this.rebalancer;
    const leads = group.leaderId === member.memberId && group.storing === undefined;
    if (leads) this.#requireMemory(group, member, request);
    const assignments = leads ? this.#checked(group, member, request) : undefined;
    member.sync?.fail(askedAgain(group.groupId, member.memberId));
    const waiter = new Waiter<SyncGroupResponse>(cancel, () => {
      if (member.sync !== waiter) return;
      member.sync = undefined;
      sessions.start(group, member);
    });
    member.sync = waiter;
    member.synced = true;
    sessions.stop(member);
    if (assignments !== undefined) void this.#distribute(group, assignments);
    return waiter.answered;
  }

  /** The generation stays as it is: the leader may try again until the rebalance timeout. */
  #requireMemory(group: Group, leader: Member, { assignments }: SyncGroupRequest): void {
    let moreBytes = 0;
    for (const { assignment } of assignments) moreBytes += assignment.length;
    for (const { assignment } of group.members.values()) moreBytes -= assignment.length;
    this.rebalancer.sessions.touch(group, leader);
    group.memory.requireRoom(group.groupId, moreBytes);
  }

  /** The leader's assignments by member. When they make no sense the group rebalances. */
  #checked(group: Group, leader: Member, request: SyncGroupRequest): Assignments {
    try {
      const assignments = checkAssignments(group, request, this.services.config);
      leader.invalidAssignments = 0;
      return assignments;
    } catch (error) {
      leader.invalidAssignments += 1;
      const reason = 'the leader gave out an invalid assignment';
      if (leader.invalidAssignments >= MAX_INVALID_ASSIGNMENTS) {
        this.rebalancer.remove(group, leader, reason);
      } else {
        this.rebalancer.sessions.touch(group, leader);
        this.rebalancer.prepare(group, reason);
      }
      throw error;
    }
  }

  async #distribute(group: Group, assignments: Assignments): Promise<void> {
    const { clock, store } = this.services;
    group.storing = assignments;
    try {
      await store.storeGroup(group.toStored(clock.nowMs(), assignments));
    } catch (error) {
      if (group.storing === assignments) this.rebalancer.restart(group, error);
      return;
    }
    // The group may have gone on to the next generation meanwhile, or the broker is stopping.
    if (group.storing !== assignments) return;
    group.storing = undefined;
    group.assign(assignments);
    group.enter('Stable', clock.nowMs());
    for (const member of group.members.values()) {
      const { sync } = member;
      if (sync === undefined) continue;
      member.sync = undefined;
      sync.answer(syncResponse(group, member));
      this.rebalancer.sessions.touch(group, member);
    }
    if (group.allSynced) group.setTimer(undefined);
  }
}

function syncResponse(group: Group, member: Member): SyncGroupResponse {
  const { protocolType, protocolName } = group;
  return { protocolType, protocolName, assignment: member.assignment };
}

function requireSameTerms(group: Group, request: SyncGroupRequest): void {
  const { groupId } = group;
  const { generation, protocolType, protocolName } = request;
  if (generation !== group.generation) {
    throw illegalGeneration(groupId, generation, group.generation);
  }
  if (protocolType !== null && protocolType !== group.protocolType) {
    throw new ProtocolError(
      'INCONSISTENT_GROUP_PROTOCOL',
      `group ${groupId} is of protocol type "${group.protocolType}", not "${protocolType}"`,
    );
  }
  if (protocolName !== null && protocolName !== group.protocolName) {
    throw new ProtocolError(
      'INCONSISTENT_GROUP_PROTOCOL',
      `group ${groupId} has chosen "${group.protocolName ?? ''}", not "${protocolName}"`,
    );
  }
}

/** @throws ProtocolError INVALID_ASSIGNMENT */
function checkAssignments(
  group: Group,
  { assignments }: SyncGroupRequest,
  { maxGroupMetadataBytes }: CoordinatorServices['config'],
): Assignments {
  const { groupId, generation } = group;
  const where = `group ${groupId}, generation ${generation}`;
  const byMember = new Map<string, Buffer>();
  for (const { memberId, assignment } of assignments) {
    if (!group.members.has(memberId)) {
      throw invalid(`${where}: the leader assigned to ${memberId}, which is no member of it`);
    }
    if (byMember.has(memberId)) {
      throw invalid(`${where}: the leader assigned to ${memberId} twice`);
    }
    if (assignment.length > maxGroupMetadataBytes) {
      throw invalid(
        `${where}: the assignment of ${memberId} has ${assignment.length} bytes, more than the ` +
          `maxGroupMetadataBytes of ${maxGroupMetadataBytes}`,
      );
    }
    byMember.set(memberId, assignment);
  }
  const conflict = ConsumerOwnership.decode(group.protocolType, byMember)?.conflict;
  if (conflict !== undefined) {
    const { topic, partition, members } = conflict;
    throw invalid(`${where}: the leader gave ${topic}-${partition} to ${members.join(' and ')}`);
  }
  for (const memberId of group.members.keys()) {
    if (!byMember.has(memberId)) byMember.set(memberId, Buffer.alloc(0));
  }
  return byMember;
}

function invalid(what: string): ProtocolError {
  return new ProtocolError('INVALID_ASSIGNMENT', `${what}; the group rebalances`);
}
