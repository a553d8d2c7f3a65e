import { groupStates } from '@millrace/protocol';
import type { GroupState } from '@millrace/protocol';
import type { GroupTable } from './group-table.js';
import type { Rebalancer } from './rebalancer.js';

/** Groups by the moment. */
export interface GroupStats {
  /** How many groups are in each state; groups that only have offsets are Empty. */
  readonly states: ReadonlyMap<GroupState, number>;
  readonly members: number;
  /** New members that were given an id and have not joined with it yet. */
  readonly pendingMembers: number;
  /** What the members of all groups take, as `maxGroupMemoryBytes` counts it. */
  readonly memberBytes: number;
  /** Since the start. */
  readonly rebalances: number;
}

/** Takes a look at each group. */
export function groupStats(
  groups: GroupTable,
  { completed, pending }: Pick<Rebalancer, 'completed' | 'pending'>,
): GroupStats {
  const states = new Map<GroupState, number>(groupStates.map((state) => [state, 0]));
  const count = (state: GroupState): void => void states.set(state, (states.get(state) ?? 0) + 1);
  let members = 0;
  for (const group of groups.values()) {
    count(group.state);
    members += group.members.size;
  }
  states.set('Empty', (states.get('Empty') ?? 0) + groups.storedOnlyCount);
  return {
    ...{ states, members, rebalances: completed },
    ...{ pendingMembers: pending.count, memberBytes: groups.memory.bytes },
  };
}
