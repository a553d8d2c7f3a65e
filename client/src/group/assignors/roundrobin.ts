import type { Assignor, NamedPartition } from './assignor.js';
import { inOrder, subscribedTopics } from './members.js';

/**
 * All partitions of all topics in one row, dealt to the members in turn; who does not subscribe to
 * the topic is passed over (Kafka: `RoundRobinAssignor`).
 */
export const roundRobinAssignor: Assignor = {
  name: 'roundrobin',
  cooperative: false,

  assign(members, partitionsByTopic) {
    const circle = inOrder(members).map(({ memberId, topics }) => ({
      memberId,
      topics: new Set(topics),
      own: [] as NamedPartition[],
    }));
    let turn = 0;
    for (const topic of subscribedTopics(members, partitionsByTopic)) {
      const count = partitionsByTopic.get(topic) ?? 0;
      for (let partition = 0; partition < count; partition += 1) {
        // Ends: a topic is in the row only because somebody subscribes to it.
        while (circle[turn]?.topics.has(topic) === false) turn = (turn + 1) % circle.length;
        circle[turn]?.own.push({ topic, partition });
        turn = (turn + 1) % circle.length;
      }
    }
    return new Map(circle.map(({ memberId, own }) => [memberId, own]));
  },
};
