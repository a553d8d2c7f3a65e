import { mayBeTaken, powerCuts } from './loss.js';
import { nameOf } from './partition-facts.js';
import { anomalyIn, type Rule } from './rules.js';

/** Offsets come in order, and none of those that are there is passed over. */
export const checkReadings: Rule = function* (facts) {
  const found = anomalyIn(facts);
  const { byOffset, finalOffsets, log, readings } = facts;
  const cuts = powerCuts(facts);
  for (const { reader, startOffset, records } of [...readings, { ...log, reader: 'the log' }]) {
    let next = startOffset;
    const got = new Set<number>();
    for (const { offset } of records) {
      if (offset < next) {
        yield found('went-backwards', offset, `${reader} got offset ${offset} after ${next - 1}`);
      }
      next = Math.max(next, offset + 1);
      got.add(offset);
    }
    for (const sighting of byOffset) {
      const { offset } = sighting;
      if (offset < startOffset || got.has(offset)) continue;
      if (offset >= next) break;
      // It may have been gone already; whether it may be gone is another rule.
      const isThere =
        offset < log.startOffset ? !mayBeTaken(sighting, cuts) : finalOffsets.has(offset);
      if (!isThere) continue;
      yield found('skipped', offset, `${reader} passed over ${nameOf(sighting)} at ${offset}`);
    }
  }
};
