import type {
  DeleteGroupsRequest,
  DeleteGroupsResponse,
  DescribedGroup,
  DescribeGroupsRequest,
  DescribeGroupsResponse,
  ProtocolError,
  RowError,
} from '@millrace/protocol';
import type { CoordinatorServices } from './coordinator-services.js';
import type { Group } from './group.js';
import { groupNotFound, noError, nonEmptyGroup, rowError } from './group-errors.js';
import type { GroupTable } from './group-table.js';
import type { Rebalancer } from './rebalancer.js';

/** What operators see of groups, and how groups come to their end. */
export class GroupAdmin {
  constructor(
    private readonly services: CoordinatorServices,
    private readonly groups: GroupTable,
    private readonly rebalancer: Rebalancer,
  ) {}

  describe({ groupIds }: DescribeGroupsRequest): DescribeGroupsResponse {
    return { groups: groupIds.map((groupId) => this.#describe(groupId)) };
  }

  async delete({ groupIds }: DeleteGroupsRequest): Promise<DeleteGroupsResponse> {
    const outcomes = groupIds.map(async (groupId) => {
      try {
        await this.remove(groupId);
        return { groupId, ...noError };
      } catch (error) {
        return { groupId, ...rowError(error, `deleting ${groupId}`, this.services.logger) };
      }
    });
    return { groups: await Promise.all(outcomes) };
  }

  /**
   * Removes a group that nobody is in, with its offsets. Until that is durable it is Dead: who
   * wants to join or to commit is told to try again.
   *
   * @throws ProtocolError GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, or what the store says.
   */
  async remove(groupId: string): Promise<void> {
    const known = this.groups.get(groupId);
    if (known?.state === 'Dead' || !this.groups.exists(groupId)) throw this.#notFound(groupId);
    const group = known ?? this.groups.obtain(groupId);
    if (group.state !== 'Empty') throw nonEmptyGroup(groupId, group.members.size, 'delete it');
    const { stateTimeMs } = group;
    this.rebalancer.abandon(group, 'deleting');
    group.enter('Dead', this.services.clock.nowMs());
    try {
      await this.services.store.deleteGroup(groupId);
      this.groups.remove(group);
    } catch (error) {
      group.enter('Empty', stateTimeMs);
      this.groups.release(group);
      throw error;
    }
    this.services.logger.info({ group: groupId }, 'group is deleted');
  }

  #describe(groupId: string): DescribedGroup {
    const coordinator = this.services.nodeId;
    const group = this.groups.get(groupId);
    if (group !== undefined && group.state !== 'Dead') return this.#describeKnown(group);
    const found = group === undefined && this.groups.exists(groupId);
    const error: RowError = found
      ? noError
      : rowError(this.#notFound(groupId), 'describing a group', this.services.logger);
    return {
      ...error,
      ...{ groupId, coordinator, protocolType: '', protocolName: '', members: [] },
      state: found ? 'Empty' : 'Dead',
      generation: found ? 0 : -1,
    };
  }

  /** A group that cannot be read is not one that is not there. */
  #notFound(groupId: string): ProtocolError {
    return this.services.store.problem ?? groupNotFound(groupId);
  }

  #describeKnown(group: Group): DescribedGroup {
    const { groupId, state, protocolType, protocolName, generation } = group;
    const members = [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.terms.clientId,
      clientHost: member.terms.clientHost,
      metadata: member.metadataFor(protocolName),
      assignment: state === 'Stable' ? member.assignment : Buffer.alloc(0),
    }));
    return {
      ...noError,
      ...{ groupId, state, protocolType, generation, members },
      protocolName: protocolName ?? '',
      coordinator: this.services.nodeId,
    };
  }
}
