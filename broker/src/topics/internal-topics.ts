import { ProtocolError } from '@millrace/protocol';

/** The topic in which the broker keeps committed offsets and the state of groups. */
export const OFFSETS_TOPIC = '__offsets';

/** What a client should do instead of touching the topic. */
const advice: ReadonlyMap<string, string> = new Map([
  [OFFSETS_TOPIC, 'commit, reset or delete offsets through the APIs of consumer groups instead'],
]);

/** Whether the broker alone makes, writes and removes the topic; clients may read it. */
export function isInternalTopic(name: string): boolean {
  return advice.has(name);
}

/**
 * Refuses what clients must not do to an internal topic.
 *
 * @param what as in `be deleted`.
 * @throws ProtocolError POLICY_VIOLATION that says what to do instead.
 */
export function refuseInternalTopic(name: string, what: string): void {
  const instead = advice.get(name);
  if (instead === undefined) return;
  throw new ProtocolError(
    'POLICY_VIOLATION',
    `topic ${name} is the broker's own and cannot ${what} by clients: ${instead}`,
  );
}
