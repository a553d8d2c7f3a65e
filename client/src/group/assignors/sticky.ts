import type { Assignor } from './assignor.js';
import { shareSticky } from './sticky-sharing.js';

/**
 * Even, and near to the sharing before (Kafka: `StickyAssignor`). Members give everything up before
 * they rejoin, so they tell in their user data what they had.
 */
export const stickyAssignor: Assignor = {
  name: 'sticky',
  cooperative: false,

  assign(unordered, partitionsByTopic) {
    const { members, shares } = shareSticky(unordered, partitionsByTopic);
    return new Map(members.map(({ memberId }, index) => [memberId, shares[index] ?? []]));
  },
};
