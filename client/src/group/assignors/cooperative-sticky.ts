import type { Assignor } from './assignor.js';
import { NOBODY } from './claims.js';
import { shareSticky } from './sticky-sharing.js';

/**
 * As sticky, but members go on reading while they rejoin. What is to move is given to nobody at
 * first: its owner sees that it is gone, gives it up and rejoins, and then it is free (KIP-429;
 * Kafka: `CooperativeStickyAssignor`).
 */
export const cooperativeStickyAssignor: Assignor = {
  name: 'cooperative-sticky',
  cooperative: true,

  assign(unordered, partitionsByTopic) {
    const { members, claims, shares } = shareSticky(unordered, partitionsByTopic);
    return new Map(
      members.map(({ memberId }, index) => {
        const now = (shares[index] ?? []).filter(({ topic, partition }) => {
          const owner = claims.get(topic)?.[partition] ?? NOBODY;
          return owner === NOBODY || owner === index;
        });
        return [memberId, now];
      }),
    );
  },
};
