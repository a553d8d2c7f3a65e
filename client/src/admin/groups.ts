import {
  CONSUMER_PROTOCOL_TYPE,
  decodeAssignment,
  deleteGroupsApi,
  describeGroupsApi,
  groupStates,
  listGroupsApi,
  ProtocolError,
  type DescribedGroup,
  type DescribedMember,
} from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { BrokerError } from '../errors.js';
import { choiceOption } from '../util/check.js';
import { quoted } from '../util/text.js';
import { askCoordinators, checkGroupId } from './coordinator.js';
import type { GroupDescription, GroupListing, GroupMember, GroupState } from './group-types.js';
import { settleRows, throwAll, type Settled } from './rows.js';
import type { PartitionOfTopic } from './topic-types.js';

/** See Admin.listGroups. */
export async function listGroups(
  cluster: Cluster,
  states: readonly GroupState[],
  limits: CallLimits,
): Promise<GroupListing[]> {
  for (const state of states) choiceOption('each of states', state, groupStates);
  const groups: GroupListing[] = [];
  let after = '';
  for (;;) {
    const { response, broker } = await cluster.ask(listGroupsApi, { states, after }, limits);
    for (const { memberCount, ...listed } of response.groups) {
      groups.push({ ...listed, members: memberCount });
    }
    if (!response.more) break;
    const last = response.groups.at(-1)?.groupId ?? '';
    if (last <= after) throw repeatsItself(broker);
    after = last;
  }
  return groups.sort((a, b) => (a.groupId < b.groupId ? -1 : 1));
}

/** Asked for what comes after a group, the broker told others: that would never end. */
function repeatsItself(broker: string): BrokerError {
  const message = 'The broker lists groups out of their order; is it of another version?';
  const error = new ProtocolError('UNKNOWN_SERVER_ERROR', message);
  return new BrokerError(error, { broker, action: 'list groups' });
}

/** See Admin.describeGroups. */
export async function describeGroups(
  cluster: Cluster,
  groupIds: readonly string[],
  limits: CallLimits,
): Promise<GroupDescription[]> {
  const settled = await settleGroups(cluster, groupIds, limits);
  const byId = new Map(settled.map((result) => [result.item, result]));
  return groupIds.flatMap((id) => {
    const result = byId.get(id);
    return result === undefined ? [] : [describedOrThrow(result)];
  });
}

/** The group; undefined where there is none of the name. */
export async function findGroup(
  cluster: Cluster,
  groupId: string,
  limits: CallLimits,
): Promise<GroupDescription | undefined> {
  const [result] = await settleGroups(cluster, [groupId], limits);
  if (result === undefined || result.error?.errorName === 'GROUP_ID_NOT_FOUND') return undefined;
  return describedOrThrow(result);
}

function settleGroups(
  cluster: Cluster,
  groupIds: readonly string[],
  limits: CallLimits,
): Promise<Settled<string, DescribedGroup>[]> {
  groupIds.forEach(checkGroupId);
  const question = {
    action: 'describeGroups',
    describe: (id: string) => `describe group ${quoted(id)}`,
    ask: (ids: readonly string[]) =>
      askCoordinators(
        cluster,
        ids,
        describeGroupsApi,
        (some) => ({ groupIds: some }),
        ({ groups }) => groups,
      ),
  };
  return settleRows(cluster, question, [...new Set(groupIds)], limits);
}

function describedOrThrow({
  item,
  row,
  error,
  broker,
}: Settled<string, DescribedGroup>): GroupDescription {
  if (error?.errorName === 'GROUP_ID_NOT_FOUND') throw noSuchGroup(item, broker);
  if (error !== undefined) {
    throw new BrokerError(error, { broker, action: `describe group ${quoted(item)}` });
  }
  const { groupId, state, protocolType, protocolName, coordinator, generation } = row;
  const members = row.members.map((member) => toMember(member, protocolType)).sort(byClient);
  return { groupId, state, protocolType, protocolName, coordinator, generation, members };
}

function toMember(member: DescribedMember, protocolType: string): GroupMember {
  const { memberId, groupInstanceId, clientId, clientHost, assignment } = member;
  const partitions = protocolType === CONSUMER_PROTOCOL_TYPE ? partitionsIn(assignment) : undefined;
  return { memberId, groupInstanceId, clientId, clientHost, partitions, assignment };
}

/** Ordered; undefined for what is no assignment of a consumer. */
function partitionsIn(assignment: Buffer): PartitionOfTopic[] | undefined {
  // A member that was given nothing yet.
  if (assignment.length === 0) return [];
  try {
    return decodeAssignment(assignment)
      .partitions.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      )
      .sort(byPartition);
  } catch (error) {
    // Anybody may join and lead a group: what it wrote must not hide the others from an operator.
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** Orders by topic and partition. */
export function byPartition(a: PartitionOfTopic, b: PartitionOfTopic): number {
  if (a.topic === b.topic) return a.partition - b.partition;
  return a.topic < b.topic ? -1 : 1;
}

function byClient(a: GroupMember, b: GroupMember): number {
  if (a.clientId === b.clientId) return a.memberId < b.memberId ? -1 : 1;
  return a.clientId < b.clientId ? -1 : 1;
}

/** See Admin.deleteGroups. */
export async function deleteGroups(
  cluster: Cluster,
  groupIds: readonly string[],
  limits: CallLimits,
): Promise<void> {
  groupIds.forEach(checkGroupId);
  const settled = await settleRows(
    cluster,
    {
      action: 'deleteGroups',
      describe: (id) => `delete group ${quoted(id)}`,
      ask: (ids) =>
        askCoordinators(
          cluster,
          ids,
          deleteGroupsApi,
          (some) => ({ groupIds: some }),
          ({ groups }) => groups,
        ),
    },
    [...new Set(groupIds)],
    limits,
  );
  const errors: BrokerError[] = [];
  for (const { item, error, broker, repeated } of settled) {
    if (error === undefined) continue;
    if (error.errorName === 'GROUP_ID_NOT_FOUND') {
      // Repeated, the answer to a first try was lost, and that try deleted it.
      if (!repeated) errors.push(noSuchGroup(item, broker));
    } else if (error.errorName === 'NON_EMPTY_GROUP') {
      const group = await findGroup(cluster, item, limits);
      errors.push(stillActive(group ?? { groupId: item, state: 'Stable', members: [] }, broker));
    } else errors.push(new BrokerError(error, { broker, action: `delete group ${quoted(item)}` }));
  }
  throwAll(errors, 'Some groups were not deleted');
}

/** What to do about a group that there is none of; the command has words of its own. */
export const LIST_GROUPS_ADVICE = 'admin.listGroups or `millrace group list` shows those there are';

/** That there is no group of the name. */
export function noSuchGroup(groupId: string, broker?: string): BrokerError {
  const message = `There is no group ${quoted(groupId)}; ${LIST_GROUPS_ADVICE}`;
  return new BrokerError(new ProtocolError('GROUP_ID_NOT_FOUND', message), { broker });
}

/** Members that are named where a group cannot be changed because of them. */
const MAX_NAMED_MEMBERS = 5;

/** That a group has members, which ones, and what to do. */
export function stillActive(
  { groupId, state, members }: Pick<GroupDescription, 'groupId' | 'state' | 'members'>,
  broker?: string,
): BrokerError {
  const named = members
    .slice(0, MAX_NAMED_MEMBERS)
    .map(({ clientId, clientHost }) => `${quoted(clientId)} at ${clientHost}`);
  const more = members.length - named.length;
  if (more > 0) named.push(`${more} more`);
  const who = named.length === 0 ? '' : `, with members ${named.join(', ')}`;
  const message =
    `Group ${quoted(groupId)} is active (${state}${who}): stop its consumers first; ` +
    'one that was killed is forgotten after its session timeout';
  return new BrokerError(new ProtocolError('NON_EMPTY_GROUP', message), { broker });
}
