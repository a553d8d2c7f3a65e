import type {
  HeartbeatRequest,
  LeaveGroupRequest,
  LeaveGroupResponse,
  LeavingMember,
} from '@millrace/protocol';
import type { CoordinatorServices } from './coordinator-services.js';
import type { Group } from './group.js';
import {
  beingDeleted,
  illegalGeneration,
  noError,
  rebalanceInProgress,
  requireGroupId,
  rowError,
  unknownInstance,
  unknownMember,
} from './group-errors.js';
import type { GroupTable } from './group-table.js';
import type { Rebalancer } from './rebalancer.js';

/** What members say to stay in their group, and to leave it. */
export class Membership {
  constructor(
    private readonly services: CoordinatorServices,
    private readonly groups: GroupTable,
    private readonly rebalancer: Rebalancer,
  ) {}

  /** @throws ProtocolError */
  heartbeat({ groupId, memberId, generation, groupInstanceId }: HeartbeatRequest): void {
    requireGroupId(groupId);
    const group = this.groups.get(groupId);
    if (group === undefined) throw unknownMember(groupId, memberId);
    if (group.state === 'Dead') throw beingDeleted(groupId);
    const member = group.requireMember(memberId, groupInstanceId);
    if (generation !== group.generation) {
      throw illegalGeneration(groupId, generation, group.generation);
    }
    this.rebalancer.sessions.touch(group, member);
    if (group.state === 'PreparingRebalance') throw rebalanceInProgress(groupId);
  }

  /** @throws ProtocolError INVALID_GROUP_ID; all else is in the rows. */
  leave({ groupId, members }: LeaveGroupRequest): LeaveGroupResponse {
    requireGroupId(groupId);
    return { members: members.map((leaving) => this.#leave(groupId, leaving)) };
  }

  #leave(groupId: string, leaving: LeavingMember): LeaveGroupResponse['members'][number] {
    const { memberId, groupInstanceId } = leaving;
    try {
      const group = this.groups.get(groupId);
      if (group === undefined) throw unknownMember(groupId, memberId);
      if (group.state === 'Dead') throw beingDeleted(groupId);
      this.#remove(group, leaving);
      return { memberId, groupInstanceId, ...noError };
    } catch (error) {
      const what = `leaving group ${groupId}`;
      return { memberId, groupInstanceId, ...rowError(error, what, this.services.logger) };
    }
  }

  #remove(group: Group, { memberId, groupInstanceId, reason }: LeavingMember): void {
    const { pending } = this.rebalancer;
    if (groupInstanceId === null && pending.has(group, memberId)) {
      pending.remove(group, memberId);
      this.groups.release(group);
      return;
    }
    const why = reason === null || reason === '' ? 'it left' : `it left: ${reason}`;
    if (memberId !== '' || groupInstanceId === null) {
      this.rebalancer.remove(group, group.requireMember(memberId, groupInstanceId), why);
      return;
    }
    // An operator's tool knows a static member by its instance id alone.
    const holder = group.staticMember(groupInstanceId);
    if (holder === undefined) throw unknownInstance(group.groupId, groupInstanceId);
    this.rebalancer.remove(group, holder, why);
  }
}
