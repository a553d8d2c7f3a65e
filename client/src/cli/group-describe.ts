import type { Command } from 'commander';
import type { GroupDescription, GroupMember, GroupOffset } from '../admin-types.js';
import { counted } from '../util/text.js';
import { withSession, type Environment } from './environment.js';
import { print, type JsonOption } from './print.js';
import { NOTHING, table } from './table.js';

/** `millrace group describe GROUP` */
export function addGroupDescribe(group: Command, environment: Environment): void {
  group
    .command('describe')
    .description('show the members of a group, what they read, and how far behind they are')
    .argument('<group>')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nLag is what is left to read, at the most: offsets have gaps after a crash and after\n' +
        'compaction. It is 0 where there is nothing to read. - stands for what is not there: no\n' +
        'commit in that partition, no member that reads it.',
    )
    .action((name: string, options: JsonOption) =>
      withSession(environment, async ({ client: { admin }, signal }) => {
        const description = await admin.describeGroup(name, { signal });
        const offsets = await admin.groupOffsets(name, { signal });
        const owners = ownersOf(description);
        const totalLag = totalOf(offsets);
        const json = () => toJson(description, offsets, owners, totalLag);
        print(environment, options, options.json === true ? json() : undefined, () =>
          [
            `${summary(description, offsets, totalLag)}\n`,
            partitionTable(offsets, owners, description.members.length > 0),
            ...idleTables(description),
          ].join('\n'),
        );
      }),
    );
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

function totalOf(offsets: readonly GroupOffset[]): number {
  return offsets.reduce((sum, { lag }) => sum + (lag ?? 0), 0);
}

function summary(
  { groupId, state, protocolName, generation, members }: GroupDescription,
  offsets: readonly GroupOffset[],
  totalLag: number,
): string {
  const uncommitted = offsets.filter(({ committedOffset }) => committedOffset === null).length;
  const parts = [
    state,
    ...(protocolName === '' ? [] : [`protocol ${protocolName}`]),
    ...(generation < 0 ? [] : [`generation ${generation}`]),
    counted(members.length, 'member'),
    `total lag ${totalLag}`,
    ...(uncommitted === 0 ? [] : [`${counted(uncommitted, 'partition')} without a commit`]),
  ];
  return `Group ${groupId}: ${parts.join(', ')}`;
}

function partitionTable(
  offsets: readonly GroupOffset[],
  owners: Owners,
  withMembers: boolean,
): string {
  const header = ['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG'];
  const rows = offsets.map(({ topic, partition, committedOffset, endOffset, lag }) => {
    const numbers = [committedOffset, endOffset, lag].map((value) => String(value ?? NOTHING));
    const owner = withMembers ? memberCells(owners.get(`${topic}-${partition}`)) : [];
    return [topic, String(partition), ...numbers, ...owner];
  });
  return table(withMembers ? [...header, ...MEMBER_HEADER] : header, rows);
}

const MEMBER_HEADER = ['MEMBER', 'INSTANCE', 'CLIENT', 'HOST'];

function memberCells(member: GroupMember | undefined): string[] {
  if (member === undefined) return MEMBER_HEADER.map(() => NOTHING);
  const { memberId, groupInstanceId, clientId, clientHost } = member;
  return [memberId, groupInstanceId ?? NOTHING, clientId || NOTHING, clientHost];
}

/** Members that read nothing, or of whom that is not known; no table where there are none. */
function idleTables({ members }: GroupDescription): string[] {
  const idle = members.filter(({ partitions }) => (partitions ?? []).length === 0);
  if (idle.length === 0) return [];
  const header = ['MEMBERS-WITHOUT-PARTITIONS', ...MEMBER_HEADER.slice(1)];
  return [table(header, idle.map(memberCells))];
}

function toJson(
  { members, ...group }: GroupDescription,
  offsets: readonly GroupOffset[],
  owners: Owners,
  totalLag: number,
) {
  return {
    ...group,
    totalLag,
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
