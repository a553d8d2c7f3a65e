import type { AssignorMember, NamedPartition } from './assignor.js';
import { Balance, type Field } from './balance.js';
import { settleClaims, type Claims } from './claims.js';
import { inOrder, subscribedTopics } from './members.js';

/** A sharing that is even and near to what was before. */
export interface StickySharing {
  readonly members: readonly AssignorMember[];
  readonly claims: Claims;
  /** In the order of `members`. */
  readonly shares: readonly (readonly NamedPartition[])[];
}

/**
 * Shares the partitions out as evenly as the subscriptions allow; members keep of what they had as
 * much as that allows. Deterministic, whatever the order of the members.
 */
export function shareSticky(
  unordered: readonly AssignorMember[],
  partitionsByTopic: ReadonlyMap<string, number>,
): StickySharing {
  const members = inOrder(unordered);
  const topics = subscribedTopics(members, partitionsByTopic);
  const numbers = new Map(topics.map((topic, number) => [topic, number]));
  const takers: number[][] = topics.map(() => []);
  for (const [index, member] of members.entries()) {
    for (const topic of new Set(member.topics)) takers[numbers.get(topic) ?? -1]?.push(index);
  }
  const counts = topics.map((topic) => partitionsByTopic.get(topic) ?? 0);
  const field: Field = { members, topics, counts, takers };
  const claims = settleClaims(members, partitionsByTopic);
  const { shares } = new Balance(field, claims);
  return { members, claims, shares: pickPartitions(field, claims, shares) };
}

/** Which partitions make up the shares: first of what a member had, then of what is left over. */
function pickPartitions(
  { members, topics, counts, takers }: Field,
  claims: Claims,
  shares: readonly ReadonlyMap<number, number>[],
): NamedPartition[][] {
  const picked: NamedPartition[][] = members.map(() => []);
  for (const [number, topic] of topics.entries()) {
    const owners = claims.get(topic);
    const wanted = new Map<number, number>();
    for (const member of takers[number] ?? []) wanted.set(member, shares[member]?.get(number) ?? 0);
    const free: number[] = [];
    for (let partition = 0; partition < (counts[number] ?? 0); partition += 1) {
      const owner = owners?.[partition] ?? -1;
      const room = wanted.get(owner) ?? 0;
      if (room === 0) {
        free.push(partition);
        continue;
      }
      wanted.set(owner, room - 1);
      picked[owner]?.push({ topic, partition });
    }
    let next = 0;
    for (const [member, room] of wanted) {
      for (const partition of free.slice(next, next + room)) {
        picked[member]?.push({ topic, partition });
      }
      next += room;
    }
  }
  return picked;
}
