import type { GroupDescription, GroupMember, GroupOffset } from '../../admin-types.js';
import { counted } from '../../util/text.js';
import type { Environment } from '../environment.js';
import { print, type JsonOption } from '../print.js';
import { NOTHING, table } from '../table.js';
import { withAdmin } from './session.js';

/** `millrace group describe GROUP` */
export function describeGroup(
  environment: Environment,
  name: string,
  options: JsonOption,
): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    const description = await admin.describeGroup(name, { signal });
    const offsets = await admin.groupOffsets(name, { signal });
    const owners = ownersOf(description);
    const totalLag = totalOf(description, offsets);
    const json = () => toJson(description, offsets, owners, totalLag);
    print(environment, options, options.json === true ? json() : undefined, () =>
      [
        `${summary(description, offsets, totalLag)}\n`,
        partitionTable(offsets, owners),
        ...idleTables(description),
      ].join('\n'),
    );
  });
}

/** Members by what they read, as `topic-partition`. */
type Owners = ReadonlyMap<string, GroupMember>;

function ownersOf({ members }: GroupDescription): Owners {
  return new Map(
    members.flatMap((member) =>
      (member.partitions ?? []).map(({ topic, partition }) => [`${topic}-${partition}`, member]),
    ),
  );
}

/** What is left to read in the partitions of which it is known, and whether those are all. */
interface TotalLag {
  readonly known: number;
  readonly complete: boolean;
}

/** States in which it is known which partitions the group reads. */
const settledStates: readonly string[] = ['Stable', 'Empty'];

function totalOf({ state }: GroupDescription, offsets: readonly GroupOffset[]): TotalLag {
  const all = offsets.every(({ lag, startOffset, endOffset }) => {
    // Without a commit, and without a message either.
    const empty = endOffset !== null && startOffset === endOffset;
    return lag !== null || empty;
  });
  return {
    known: offsets.reduce((sum, { lag }) => sum + (lag ?? 0), 0),
    complete: all && offsets.length > 0 && settledStates.includes(state),
  };
}

function totalText({ known, complete }: TotalLag): string {
  if (complete) return String(known);
  return known > 0 ? `at least ${known}` : 'unknown';
}

function summary(
  { groupId, state, protocolName, generation, members }: GroupDescription,
  offsets: readonly GroupOffset[],
  totalLag: TotalLag,
): string {
  const uncommitted = offsets.filter(({ committedOffset }) => committedOffset === null).length;
  const parts = [
    state,
    ...(protocolName === '' ? [] : [`protocol ${protocolName}`]),
    ...(generation < 0 ? [] : [`generation ${generation}`]),
    counted(members.length, 'member'),
    `total lag ${totalText(totalLag)}`,
    ...(uncommitted === 0 ? [] : [`${counted(uncommitted, 'partition')} without a commit`]),
  ];
  return `Group ${groupId}: ${parts.join(', ')}`;
}

function partitionTable(offsets: readonly GroupOffset[], owners: Owners): string {
  const header = ['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG'];
  const rows = offsets.map(({ topic, partition, committedOffset, endOffset, lag }) => {
    const numbers = [committedOffset, endOffset, lag].map((value) => String(value ?? NOTHING));
    const owner = memberCells(owners.get(`${topic}-${partition}`));
    return [topic, String(partition), ...numbers, ...owner];
  });
  return sparseTable(header, MEMBER_HEADER, rows);
}

/** A table that lacks those of the last columns in which nothing stands. */
function sparseTable(
  first: readonly string[],
  optional: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const header = [...first, ...optional];
  const says = (column: number): boolean =>
    column < first.length || rows.some((row) => row[column] !== NOTHING);
  const kept = (cells: readonly string[]): string[] => cells.filter((_, column) => says(column));
  return table(kept(header), rows.map(kept));
}

const MEMBER_HEADER = ['MEMBER', 'INSTANCE', 'CLIENT', 'HOST'];

function memberCells(member: GroupMember | undefined): string[] {
  if (member === undefined) return MEMBER_HEADER.map(() => NOTHING);
  const { memberId, groupInstanceId, clientId, clientHost } = member;
  const shown = shortMemberId(memberId, groupInstanceId ?? clientId);
  return [shown, groupInstanceId ?? NOTHING, clientId || NOTHING, clientHost];
}

/** A UUID, of which the first group of digits is kept, behind what stands in another column. */
const GIVEN_ID = /^(.*)-([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function shortMemberId(memberId: string, prefix: string): string {
  const [, before = '', digits = ''] = GIVEN_ID.exec(memberId) ?? [];
  if (digits === '') return memberId;
  return before === prefix ? digits : `${before}-${digits}`;
}

/** Members that read nothing, or of whom that is not known; no table where there are none. */
function idleTables({ members }: GroupDescription): string[] {
  const idle = members.filter(({ partitions }) => (partitions ?? []).length === 0);
  if (idle.length === 0) return [];
  const optional = MEMBER_HEADER.slice(1);
  return [sparseTable(['MEMBERS-WITHOUT-PARTITIONS'], optional, idle.map(memberCells))];
}

function toJson(
  { members, ...group }: GroupDescription,
  offsets: readonly GroupOffset[],
  owners: Owners,
  { known, complete }: TotalLag,
) {
  return {
    ...group,
    totalLag: complete ? known : null,
    members: members.map(({ assignment, partitions, ...member }) => ({
      ...member,
      partitions: partitions ?? null,
      // What cannot be shown otherwise.
      ...(partitions === undefined ? { assignment: assignment.toString('base64') } : {}),
    })),
    offsets: offsets.map((offset) => ({
      ...offset,
      memberId: owners.get(`${offset.topic}-${offset.partition}`)?.memberId ?? null,
    })),
  };
}
