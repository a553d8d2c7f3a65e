import { ProtocolError } from '@millrace/protocol';
import type { OffsetFetchResult } from '@millrace/protocol';
import type { BrokerCounters } from '../counters.js';
import type { GroupCoordinator } from '../groups/coordinator.js';
import type { TopicRegistry } from '../topics/topic-registry.js';
import { one } from './metric.js';
import type { Define, Sample, SeriesBound } from './metric.js';

export interface GroupSources {
  readonly groups: Pick<GroupCoordinator, 'stats' | 'groupIds' | 'fetch'>;
  readonly topics: Pick<TopicRegistry, 'byId'>;
  readonly counters: BrokerCounters;
}

/** Committed offsets that a scrape looks at: more groups are left out of the lag, and counted. */
const MAX_OFFSETS_LOOKED_AT = 100_000;
const TOTAL_LAG = 'group_total_lag_offsets';
const LAG = 'group_lag_offsets';
/** Of a partition without a commit nobody can say what is unread: where would its reader begin? */
const ONLY_COMMITTED = 'partitions without a commit are not in it';
const TOTAL_LAG_HELP =
  'Offsets between what a group committed and the end, summed over its partitions; ' +
  `${ONLY_COMMITTED}, nor are groups that committed nothing.`;
const LAG_HELP = `Offsets between what a group committed and the end; ${ONLY_COMMITTED}.`;

/** Groups, what they commit, and how far behind they are. */
export function defineGroups(define: Define, sources: GroupSources, bound: SeriesBound): void {
  const { counters, groups } = sources;
  define('gauge', 'groups', 'Consumer groups by state.', () =>
    [...groups.stats.states].map(([state, value]) => ({ labels: { state }, value })),
  );
  define('gauge', 'group_members', 'Members of all groups.', () => one(groups.stats.members));
  define('counter', 'group_rebalances_total', 'Generations of groups that began.', () =>
    one(groups.stats.rebalances),
  );
  define('counter', 'group_commits_total', 'Offsets committed, one for each partition.', () =>
    one(counters.offsetsCommitted),
  );
  define('counter', 'group_commits_failed_total', 'Offsets refused, one for each partition.', () =>
    one(counters.offsetsCommitFailed),
  );
  let lags: readonly GroupLag[] = [];
  define('gauge', TOTAL_LAG, TOTAL_LAG_HELP, () => {
    const looked = lookAtLags(sources, bound);
    lags = looked.lags;
    bound.omit(TOTAL_LAG, looked.omitted);
    return lags.map(({ groupId, rows }) => ({
      labels: { group: groupId },
      value: rows.reduce((sum, { lag }) => sum + lag, 0),
    }));
  });
  // Defined behind the one that looks.
  define('gauge', LAG, LAG_HELP, () => {
    const count = lags.reduce((sum, { rows }) => sum + rows.length, 0);
    const samples = bound.allows(count) ? lags.flatMap(lagSamples) : [];
    bound.omit(LAG, count - samples.length);
    lags = [];
    return samples;
  });
}

interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly lag: number;
}

interface GroupLag {
  readonly groupId: string;
  readonly rows: readonly PartitionLag[];
}

/** The lags of as many groups as may be told, and how many are left out. */
function lookAtLags(
  { groups, topics }: GroupSources,
  bound: SeriesBound,
): { readonly lags: readonly GroupLag[]; readonly omitted: number } {
  const lags: GroupLag[] = [];
  let omitted = 0;
  let lookedAt = 0;
  for (const groupId of groups.groupIds()) {
    const full = !bound.allows(lags.length + 1) || lookedAt >= MAX_OFFSETS_LOOKED_AT;
    const entries = full ? undefined : committed(groups, groupId);
    if (entries === undefined) {
      omitted += 1;
      continue;
    }
    lookedAt += entries.length;
    const rows = entries.flatMap((entry) => lagOf(entry, topics));
    if (rows.length > 0) lags.push({ groupId, rows });
  }
  return { lags, omitted };
}

/** Undefined when the group cannot be told: too many offsets, or the broker is stopping. */
function committed(
  groups: GroupSources['groups'],
  groupId: string,
): readonly OffsetFetchResult[] | undefined {
  try {
    return groups.fetch({ groupId, entries: null }).entries;
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function lagOf(
  { offset, partition, topicId }: OffsetFetchResult,
  topics: GroupSources['topics'],
): readonly PartitionLag[] {
  const topic = topics.byId(topicId);
  const known = topic?.partitions[partition];
  if (topic === undefined || known === undefined) return [];
  return [{ topic: topic.name, partition, lag: Math.max(0, known.highWatermark - offset) }];
}

function lagSamples({ groupId, rows }: GroupLag): readonly Sample[] {
  return rows.map(({ topic, partition, lag }) => ({
    labels: { group: groupId, topic, partition },
    value: lag,
  }));
}
