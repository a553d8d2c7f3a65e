import { CLIENT_MAX_HEADER_BYTES, MAX_HEADER_ELEMENTS, ProtocolError } from '@millrace/protocol';

/** A group in a response, as far as its size goes. */
interface SizedGroup {
  readonly members: readonly SizedMember[];
}

interface SizedMember {
  readonly metadata: Buffer;
  readonly assignment?: Buffer;
}

/** Values in a response: of a group without its members, and of a member. */
const VALUES = { perGroup: 10, perMember: 7 } as const;
/** What ids, names and lengths take is left free. */
const MAX_MEMBERS_BYTES = CLIENT_MAX_HEADER_BYTES / 2;

/**
 * Refuses an answer about members that fits into no header, before it is encoded.
 * @throws ProtocolError LIMIT_EXCEEDED
 */
export function refuseLargeMembers(api: string, groups: readonly SizedGroup[]): void {
  let members = 0;
  let bytes = 0;
  for (const group of groups) {
    members += group.members.length;
    for (const { metadata, assignment } of group.members) {
      bytes += metadata.length + (assignment?.length ?? 0);
    }
  }
  const values = groups.length * VALUES.perGroup + members * VALUES.perMember;
  if (values <= MAX_HEADER_ELEMENTS && bytes <= MAX_MEMBERS_BYTES) return;
  throw new ProtocolError(
    'LIMIT_EXCEEDED',
    `${api}: ${groups.length} groups with ${members} members, of ${bytes} bytes of metadata and ` +
      `assignments, do not fit into one response; ask for fewer groups, or have fewer members`,
  );
}
