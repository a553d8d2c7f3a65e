import type { AssignorMember } from './assignor.js';

/**
 * Members in the order of Kafka's `AbstractPartitionAssignor.MemberInfo`: static ones first, by
 * instance id, so that a restart under a new member id changes nothing; then the others by id.
 */
export function inOrder(members: readonly AssignorMember[]): readonly AssignorMember[] {
  return [...members].sort(compareMembers);
}

function compareMembers(a: AssignorMember, b: AssignorMember): number {
  if (a.groupInstanceId !== null && b.groupInstanceId !== null) {
    return compareText(a.groupInstanceId, b.groupInstanceId);
  }
  if (a.groupInstanceId !== null) return -1;
  if (b.groupInstanceId !== null) return 1;
  return compareText(a.memberId, b.memberId);
}

/** By UTF-16 code units, the same in every locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Every topic that somebody subscribes to and that has partitions, by name. */
export function subscribedTopics(
  members: readonly AssignorMember[],
  partitionsByTopic: ReadonlyMap<string, number>,
): readonly string[] {
  const topics = new Set<string>();
  for (const member of members) for (const topic of member.topics) topics.add(topic);
  return [...topics].filter((topic) => (partitionsByTopic.get(topic) ?? 0) > 0).sort(compareText);
}
