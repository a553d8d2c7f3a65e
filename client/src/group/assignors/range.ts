import type { AssignorMember, Assignor, NamedPartition } from './assignor.js';
import { inOrder, subscribedTopics } from './members.js';

/**
 * Topic by topic: its partitions in one row, cut into ranges of equal length, the first members
 * get one more where it does not come out even. The same numbers of topics with as many partitions
 * go to the same member, as joins need it (Kafka: `RangeAssignor`).
 */
export const rangeAssignor: Assignor = {
  name: 'range',
  cooperative: false,

  assign(members, partitionsByTopic) {
    const result = new Map<string, NamedPartition[]>(members.map(({ memberId }) => [memberId, []]));
    const subscribers = subscribersByTopic(inOrder(members));
    for (const topic of subscribedTopics(members, partitionsByTopic)) {
      const takers = subscribers.get(topic) ?? [];
      const count = partitionsByTopic.get(topic) ?? 0;
      const share = Math.floor(count / takers.length);
      const larger = count % takers.length;
      let next = 0;
      for (const [index, { memberId }] of takers.entries()) {
        const end = next + share + (index < larger ? 1 : 0);
        const own = result.get(memberId);
        for (; next < end; next += 1) own?.push({ topic, partition: next });
      }
    }
    return result;
  },
};

function subscribersByTopic(
  members: readonly AssignorMember[],
): ReadonlyMap<string, readonly AssignorMember[]> {
  const result = new Map<string, AssignorMember[]>();
  for (const member of members) {
    for (const topic of new Set(member.topics)) {
      const takers = result.get(topic);
      if (takers === undefined) result.set(topic, [member]);
      else takers.push(member);
    }
  }
  return result;
}
