import { offsetDeleteApi, offsetFetchApi, type OffsetFetchResult } from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { BrokerError } from '../errors.js';
import { partitionName, quoted } from '../util/text.js';
import { integerOption } from '../util/check.js';
import { askCoordinator, checkGroupId } from './coordinator.js';
import { byPartition, findGroup, noSuchGroup } from './groups.js';
import type { GroupDescription, GroupOffset } from './group-types.js';
import { lagsOf, type Position } from './lag.js';
import { routesOf } from './leaders.js';
import { errorOf, settleRows, throwAll } from './rows.js';
import type { PartitionDescription, PartitionOfTopic, TopicDescription } from './topic-types.js';
import { describeExisting, describeTopics } from './topics.js';

/** See Admin.groupOffsets. */
export async function groupOffsets(
  cluster: Cluster,
  groupId: string,
  topics: readonly string[] | undefined,
  limits: CallLimits,
): Promise<GroupOffset[]> {
  checkGroupId(groupId);
  const group = await findGroup(cluster, groupId, limits);
  if (group === undefined) throw noSuchGroup(groupId);
  const commits = await fetchCommits(cluster, groupId, limits);
  const described =
    topics === undefined
      ? await describeExisting(cluster, topicsOf(group, commits), limits)
      : await describeTopics(cluster, [...new Set(topics)], limits);
  const commitOf = new Map(commits.map((row) => [keyOf(row.topicId, row.partition), row]));
  const places = described.flatMap((topic) =>
    topic.partitions.map((partition) =>
      placeOf(topic, partition, commitOf.get(keyOf(topic.topicId, partition.partition))),
    ),
  );
  const positions = places.flatMap(({ position }) => position ?? []);
  const lags = await lagsOf(cluster, positions, limits);
  const lagOf = new Map(positions.map((position, index) => [position, lags[index] ?? null]));
  return places
    .map(({ position, ...row }) => ({
      ...row,
      lag: position === undefined ? null : (lagOf.get(position) ?? null),
    }))
    .sort(byPartition);
}

/** Topics that the group has committed in or was assigned partitions of. */
function topicsOf(group: GroupDescription, commits: readonly OffsetFetchResult[]): string[] {
  const assigned = group.members.flatMap(({ partitions = [] }) => partitions);
  // A commit without the topic's name is of one that was deleted just now.
  const names = [...commits, ...assigned].map(({ topic }) => topic).filter((name) => name !== '');
  return [...new Set(names)];
}

/** A partition by the id of its topic: one made again under its name has no commits yet. */
export function keyOf(topicId: string, partition: number): string {
  return `${topicId}-${partition}`;
}

type Place = Omit<GroupOffset, 'lag'> & { readonly position: Position | undefined };

function placeOf(
  { name, topicId }: TopicDescription,
  description: PartitionDescription,
  commit: OffsetFetchResult | undefined,
): Place {
  const { partition, startOffset, highWatermark } = description;
  return {
    topic: name,
    partition,
    committedOffset: commit?.offset ?? null,
    startOffset: startOffset < 0 ? null : startOffset,
    endOffset: highWatermark < 0 ? null : highWatermark,
    metadata: commit?.metadata ?? null,
    commitTimeMs: commit === undefined || commit.commitTimeMs < 0 ? null : commit.commitTimeMs,
    position: commit && {
      topic: name,
      topicId,
      committedOffset: commit.offset,
      committedEpoch: commit.leaderEpoch,
      partition: description,
    },
  };
}

/**
 * Everything that a group has committed; nothing of one that does not exist.
 *
 * @throws BrokerError and others; the signal's reason.
 */
export async function fetchCommits(
  cluster: Cluster,
  groupId: string,
  limits: CallLimits,
): Promise<OffsetFetchResult[]> {
  return cluster.retry('offsetFetch', limits, async () => {
    const request = { groupId, entries: null };
    const { response, broker } = await askCoordinator(cluster, groupId, offsetFetchApi, request);
    for (const row of response.entries) {
      const error = errorOf(row);
      const action = `offsets of group ${quoted(groupId)}`;
      if (error !== undefined) throw new BrokerError(error, { broker, action });
    }
    return response.entries.filter(({ offset }) => offset >= 0);
  });
}

/** See Admin.deleteOffsets. */
export async function deleteOffsets(
  cluster: Cluster,
  groupId: string,
  partitions: readonly PartitionOfTopic[],
  limits: CallLimits,
): Promise<void> {
  checkGroupId(groupId);
  for (const { partition } of partitions) integerOption('partition', partition, -1, { minimum: 0 });
  const settled = await settleRows(
    cluster,
    {
      action: 'offsetDelete',
      describe: ({ topic, partition }) =>
        `delete the offset of ${partitionName(topic, partition)} of group ${quoted(groupId)}`,
      ask: async (items) => {
        const routes = await routesOf(cluster, items);
        const entries = items.map(({ topic, partition }) => {
          return { topicId: routes.get(topic)?.topicId ?? '', partition };
        });
        const request = { groupId, entries };
        const answer = await askCoordinator(cluster, groupId, offsetDeleteApi, request);
        return answer.response.entries.map((row) => ({ row, broker: answer.broker }));
      },
    },
    partitions.map(({ topic, partition }) => ({ topic, partition })),
    limits,
  );
  const errors = settled.flatMap(({ item: { topic, partition }, error, broker }) => {
    if (error === undefined) return [];
    if (error.errorName === 'GROUP_ID_NOT_FOUND') return [noSuchGroup(groupId, broker)];
    const place = partitionName(topic, partition);
    const action = `delete the offset of ${place} of group ${quoted(groupId)}`;
    return [new BrokerError(error, { broker, topic, partition, action })];
  });
  throwAll(errors, 'Some offsets were not deleted');
}
