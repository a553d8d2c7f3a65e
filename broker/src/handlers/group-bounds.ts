import { CLIENT_MAX_HEADER_BYTES, MAX_HEADER_ELEMENTS, ProtocolError } from '@millrace/protocol';
import { encodedBytesAtMost } from '../groups/answer-size.js';

/** A group in a response, as far as its size goes. */
interface SizedGroup {
  readonly members: readonly object[];
}

/** Values in a response: of a group without its members, and of a member. */
const VALUES = { perGroup: 10, perMember: 7 } as const;
/** What comes before the rows of a response. */
const ENVELOPE_BYTES = 1024;
/** What the rows of a response may take, or no client reads it. */
const MAX_ROWS_BYTES = CLIENT_MAX_HEADER_BYTES - ENVELOPE_BYTES;

/**
 * Refuses an answer about members that fits into no header, before it is encoded.
 * @throws ProtocolError LIMIT_EXCEEDED
 */
export function refuseLargeMembers(api: string, groups: readonly SizedGroup[]): void {
  let members = 0;
  let bytes = 0;
  for (const group of groups) {
    members += group.members.length;
    bytes += encodedBytesAtMost(group);
  }
  const values = groups.length * VALUES.perGroup + members * VALUES.perMember;
  if (values <= MAX_HEADER_ELEMENTS && bytes <= MAX_ROWS_BYTES) return;
  throw new ProtocolError(
    'LIMIT_EXCEEDED',
    `${api}: ${groups.length} groups with ${members} members, of ${bytes} bytes with metadata ` +
      'and assignments, do not fit into one response; ask for fewer groups, or have fewer members',
  );
}

/**
 * Refuses an answer about offsets that fits into no header: each may come with some text.
 * @throws ProtocolError LIMIT_EXCEEDED
 */
export function refuseLargeOffsets(api: string, groupId: string, offsets: readonly object[]): void {
  let bytes = 0;
  for (const row of offsets) bytes += encodedBytesAtMost(row);
  if (bytes <= MAX_ROWS_BYTES) return;
  throw new ProtocolError(
    'LIMIT_EXCEEDED',
    `${api}: ${offsets.length} offsets of group ${groupId}, of ${bytes} bytes with the texts ` +
      'that were committed with them, do not fit into one response; ask for fewer partitions at a ' +
      'time, by topic id and partition',
  );
}
