import type { AssignorMember } from './assignor.js';

/**
 * Who had which partition before, by topic: the index of the member, or {@link NOBODY}, or
 * {@link CONTESTED}.
 */
export type Claims = ReadonlyMap<string, Int32Array>;

export const NOBODY = -1;
/** Two members of one generation claim it: one of them is wrong, so neither keeps it. */
export const CONTESTED = -2;

/**
 * Settles what the members say they own. Where two claim a partition, the one of the higher
 * generation has it: the other was thrown out and does not know it yet. What nobody subscribes to
 * any more, or does not exist, is nobody's.
 */
export function settleClaims(
  members: readonly AssignorMember[],
  partitionsByTopic: ReadonlyMap<string, number>,
): Claims {
  const claims = new Map<string, Int32Array>();
  const generations = new Map<string, Int32Array>();
  for (const [index, member] of members.entries()) {
    for (const { topic, partition } of member.owned) {
      const count = partitionsByTopic.get(topic) ?? 0;
      if (!(partition < count)) continue;
      let owners = claims.get(topic);
      let since = generations.get(topic);
      if (owners === undefined || since === undefined) {
        owners = new Int32Array(count).fill(NOBODY);
        since = new Int32Array(count);
        claims.set(topic, owners);
        generations.set(topic, since);
      }
      const other = owners[partition];
      const rival = since[partition] ?? 0;
      if (other === index || (other !== NOBODY && rival > member.generation)) continue;
      owners[partition] = other === NOBODY || rival < member.generation ? index : CONTESTED;
      since[partition] = member.generation;
    }
  }
  return claims;
}
