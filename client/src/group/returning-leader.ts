import { decodeAssignment, describeGroupsApi, type MemberAssignment } from '@millrace/protocol';
import type { CoordinatorConnection } from './coordinator-connection.js';
import { oneByOne } from './partitions.js';

/** What a leader has given out, or would have. */
export interface Shared {
  readonly assignments: readonly MemberAssignment[];
  /** How many partitions each topic of the group has now. */
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * A static member that leads and comes back in time finds its group as it was: what it assigns
 * changes nothing (KIP-814). Its topics may have changed while nobody watched them, so what the
 * group has is held against what there is.
 *
 * @returns whether the group must share out anew
 * @throws BrokerError, ConnectionError
 */
export async function isOutdated(
  coordinator: CoordinatorConnection,
  group: { readonly groupId: string; readonly generation: number },
  { assignments, counts }: Shared,
): Promise<boolean> {
  const request = { groupIds: [group.groupId] };
  const { groups } = await coordinator.request('admin', describeGroupsApi, request);
  const [described] = groups;
  const isCurrent = described?.state === 'Stable' && described.generation === group.generation;
  // Another rebalance is under way, or done: that one counts.
  if (described === undefined || !isCurrent) return false;
  const mine = new Map(assignments.map((each) => [each.memberId, each.assignment]));
  const isMine = ({ memberId, assignment }: MemberAssignment): boolean =>
    (mine.get(memberId) ?? Buffer.alloc(0)).equals(assignment);
  if (described.members.every(isMine)) return false;
  return !coversExactly(described.members, counts);
}

/** Whether every partition that there is, and no other, is given to somebody. */
function coversExactly(
  members: readonly MemberAssignment[],
  counts: ReadonlyMap<string, number>,
): boolean {
  const given = new Set<string>();
  for (const { assignment } of members) {
    if (assignment.length === 0) continue;
    for (const { topic, partition } of oneByOne(decodeAssignment(assignment).partitions)) {
      if (partition >= (counts.get(topic) ?? 0)) return false;
      given.add(`${topic}/${partition}`);
    }
  }
  let existing = 0;
  for (const count of counts.values()) existing += count;
  return given.size === existing;
}
