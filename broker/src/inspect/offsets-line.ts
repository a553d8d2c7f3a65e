import type { RecordCursor } from '@millrace/protocol';
import type { StoredGroup } from '../groups/group-store.js';
import { OffsetsRecord } from '../groups/offsets-record.js';
import { timeText } from './dump-line.js';
import type { DumpLine } from './dump-line.js';

/** What a record of `__offsets` says; what cannot be read is said to be so, as the broker skips it. */
export function offsetsLine(cursor: RecordCursor): DumpLine {
  const { offset, bytes, keyStart, keyLength, valueStart, valueLength } = cursor;
  const record = new OffsetsRecord();
  const problem = record.read(bytes, keyStart, keyLength, valueStart, valueLength);
  if (problem !== undefined) {
    return {
      text: () => `  offset ${offset}: unreadable: ${problem}`,
      json: () => ({ type: 'unreadable', offset, problem }),
    };
  }
  const { groupId } = record;
  if (record.kind === 'commit') return commitLine(offset, record);
  const group = record.tombstone ? undefined : record.group;
  const name = `group ${JSON.stringify(groupId)}`;
  return {
    text: () =>
      `  offset ${offset}: ${name}: ${group === undefined ? 'removed' : groupText(group)}`,
    json: () => ({ type: 'group', at: offset, groupId, group: group && groupJson(group) }),
  };
}

function commitLine(offset: number, record: OffsetsRecord): DumpLine {
  const { commitTimeMs, groupId, leaderEpoch, metadata, partition, tombstone, topicId } = record;
  const committed = record.offset;
  return {
    text: () => {
      const what = tombstone
        ? 'removed'
        : `offset ${committed}, epoch ${leaderEpoch}, at ${timeText(commitTimeMs)}` +
          (metadata === null ? '' : `, metadata ${JSON.stringify(metadata)}`);
      const where = `group ${JSON.stringify(groupId)}, topic ${topicId}, partition ${partition}`;
      return `  offset ${offset}: commit of ${where}: ${what}`;
    },
    json: () => ({
      ...{ type: 'commit', at: offset, groupId, topicId, partition },
      committed: tombstone ? null : { offset: committed, leaderEpoch, commitTimeMs, metadata },
    }),
  };
}

function groupText(group: StoredGroup): string {
  const { generation, leaderId, members, protocolName, protocolType, stateTimeMs } = group;
  const ids = members.map(({ memberId, clientHost }) => `${memberId} (${clientHost})`).join(' ');
  return (
    `generation ${generation}, ${protocolType || 'no protocol'}/${protocolName ?? '-'}, leader ` +
    `${leaderId ?? '-'}, since ${timeText(stateTimeMs)}, ${members.length} members ${ids}`.trimEnd()
  );
}

function groupJson(group: StoredGroup): unknown {
  return {
    ...group,
    members: group.members.map(({ assignment, protocols, ...member }) => ({
      ...member,
      protocols: protocols.map(({ name, metadata }) => ({
        name,
        metadata: metadata.toString('base64'),
      })),
      assignment: assignment.toString('base64'),
    })),
  };
}
