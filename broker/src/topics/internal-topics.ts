import { ProtocolError } from '@millrace/protocol';

/** The topic in which the broker keeps committed offsets and the state of groups. */
export const OFFSETS_TOPIC = '__offsets';

/** Names that begin with it are for topics of the broker's own, those to come included. */
const RESERVED_PREFIX = '__';

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

/**
 * Refuses a name that is, or may become, that of an internal topic.
 *
 * @throws ProtocolError POLICY_VIOLATION
 */
export function refuseReservedName(name: string): void {
  refuseInternalTopic(name, 'be created');
  if (!name.startsWith(RESERVED_PREFIX)) return;
  throw new ProtocolError(
    'POLICY_VIOLATION',
    `topic ${name} cannot be created by clients: names that begin with ${RESERVED_PREFIX} are ` +
      "reserved for the broker's own topics; choose another",
  );
}
