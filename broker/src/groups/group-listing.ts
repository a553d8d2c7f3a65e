import { CLIENT_MAX_HEADER_BYTES, groupStates, MAX_LISTED_GROUPS } from '@millrace/protocol';
import type {
  GroupState,
  ListedGroup,
  ListGroupsRequest,
  ListGroupsResponse,
} from '@millrace/protocol';
import { encodedBytesAtMost } from './answer-size.js';
import type { GroupTable } from './group-table.js';

/** Of one answer: names may be long, and of characters that take three bytes. */
const MAX_LISTING_BYTES = CLIENT_MAX_HEADER_BYTES / 2;

/** The first groups of those that are asked for; as many as fit into one answer. */
export function listGroups(
  groups: GroupTable,
  { states, after }: ListGroupsRequest,
): ListGroupsResponse {
  const rows: ListedGroup[] = [];
  let bytes = 0;
  for (const groupId of smallest(idsInStates(groups, states), after, MAX_LISTED_GROUPS + 1)) {
    const row = listed(groups, groupId);
    bytes += encodedBytesAtMost(row);
    const full = rows.length === MAX_LISTED_GROUPS || bytes > MAX_LISTING_BYTES;
    if (full && rows.length > 0) return { groups: rows, more: true };
    rows.push(row);
  }
  return { groups: rows, more: false };
}

function* idsInStates(groups: GroupTable, states: readonly string[]): Iterable<string> {
  const wanted = new Set<string>(states.length === 0 ? groupStates : states);
  for (const { groupId, state } of groups.values()) if (wanted.has(state)) yield groupId;
  if (wanted.has('Empty' satisfies GroupState)) yield* groups.storedOnly();
}

/**
 * The `count` smallest of the texts that come after one, in order. Sorting all of them for each
 * page would hold up everybody else where there are many.
 */
function smallest(texts: Iterable<string>, after: string, count: number): string[] {
  const found: string[] = [];
  let bound: string | undefined;
  const prune = (): void => {
    found.sort();
    if (found.length < count) return;
    found.length = count;
    bound = found[count - 1];
  };
  for (const text of texts) {
    if (text <= after || (bound !== undefined && text > bound)) continue;
    if (found.push(text) >= 2 * count) prune();
  }
  prune();
  return found;
}

function listed(groups: GroupTable, groupId: string): ListedGroup {
  const group = groups.get(groupId);
  if (group === undefined) return { groupId, protocolType: '', state: 'Empty', memberCount: 0 };
  const { protocolType, state, members } = group;
  return { groupId, protocolType, state, memberCount: members.size };
}
