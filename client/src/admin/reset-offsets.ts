import { BEGINNING_TIMESTAMP, END_TIMESTAMP, offsetCommitApi } from '@millrace/protocol';
import type { CallLimits, Cluster, TopicRoute } from '../cluster.js';
import { BrokerError, InvalidArgumentError, MillraceError } from '../errors.js';
import { noSuchPartition } from '../missing.js';
import { listOffsets } from '../offsets.js';
import { integerOption } from '../util/check.js';
import { partitionName, quoted } from '../util/text.js';
import { askCoordinator, checkGroupId } from './coordinator.js';
import { fetchCommits, keyOf } from './group-offsets.js';
import type {
  GroupDescription,
  ResetOffset,
  ResetOffsetsOptions,
  ResetTarget,
} from './group-types.js';
import { byPartition, findGroup, noSuchGroup, stillActive } from './groups.js';
import { timestampOf } from './offsets.js';
import { settleRows, throwAll } from './rows.js';
import type { PartitionOfTopic } from './topic-types.js';

/** A partition to reset. */
interface Place extends PartitionOfTopic {
  readonly topicId: string;
  readonly oldOffset: number | null;
}

/** A planned row, as the wire needs it. */
interface Planned extends ResetOffset {
  readonly topicId: string;
}

/** See Admin.resetOffsets. */
export async function resetOffsets(
  cluster: Cluster,
  groupId: string,
  { to, topics, partitions, dryRun = false, signal }: ResetOffsetsOptions,
): Promise<ResetOffset[]> {
  checkGroupId(groupId);
  checkTarget(to);
  const limits = { signal };
  const group = await findGroup(cluster, groupId, limits);
  if (group === undefined && topics === undefined && partitions === undefined) {
    throw noSuchGroup(groupId);
  }
  throwIfActive(group);
  const places = await placesOf(cluster, groupId, { topics, partitions }, limits);
  const chosen = movable(groupId, places, to, partitions);
  const plan = await planOf(cluster, chosen, to, limits);
  if (!dryRun) await commit(cluster, groupId, plan, limits);
  return plan.map(({ topic, partition, oldOffset, newOffset, clampedFrom }) => {
    return { topic, partition, oldOffset, newOffset, clampedFrom };
  });
}

function checkTarget(to: ResetTarget): void {
  const given: unknown = to;
  if (given === 'beginning' || given === 'end' || given instanceof Date) return;
  if (typeof given === 'object' && given !== null) {
    if ('offset' in given) {
      integerOption('to.offset', given.offset as number, -1, { minimum: 0 });
      return;
    }
    if ('shift' in given) {
      integerOption('to.shift', given.shift as number, 0, { minimum: Number.MIN_SAFE_INTEGER });
      return;
    }
    if ('timestampMs' in given) return;
  }
  throw new InvalidArgumentError(
    "to must be 'beginning', 'end', { offset }, { shift }, { timestampMs } or a Date",
  );
}

/** @throws BrokerError NON_EMPTY_GROUP */
function throwIfActive(group: GroupDescription | undefined): void {
  if (group === undefined || group.state === 'Empty' || group.state === 'Dead') return;
  throw stillActive(group);
}

/** The partitions that are meant, ordered, each with what is committed there. */
async function placesOf(
  cluster: Cluster,
  groupId: string,
  { topics, partitions }: Pick<ResetOffsetsOptions, 'topics' | 'partitions'>,
  limits: CallLimits,
): Promise<Place[]> {
  const commits = await fetchCommits(cluster, groupId, limits);
  const committed = new Map(commits.map((row) => [keyOf(row.topicId, row.partition), row.offset]));
  const whole =
    topics === undefined && partitions === undefined
      ? commits.map(({ topic }) => topic).filter((name) => name !== '')
      : (topics ?? []);
  const places = new Map<string, Place>();
  const add = ({ name: topic, topicId }: TopicRoute, partition: number): void => {
    const key = keyOf(topicId, partition);
    places.set(key, { topic, topicId, partition, oldOffset: committed.get(key) ?? null });
  };
  for (const topic of new Set(whole)) {
    const route = await cluster.topicWithRetry(topic, limits);
    for (const partition of route.partitions.keys()) add(route, partition);
  }
  for (const { topic, partition } of partitions ?? []) {
    const route = await cluster.topicWithRetry(topic, limits);
    const count = route.partitions.length;
    if (route.partitions[partition] === undefined) throw noSuchPartition(topic, partition, count);
    add(route, partition);
  }
  return [...places.values()].sort(byPartition);
}

/**
 * Leaves out, for a shift, what has no offset to shift.
 *
 * @throws InvalidArgumentError where nothing is left, or a partition was named.
 */
function movable(
  groupId: string,
  places: readonly Place[],
  to: ResetTarget,
  named: readonly PartitionOfTopic[] = [],
): readonly Place[] {
  if (typeof to !== 'object' || !('shift' in to)) return places;
  const left = places.filter(({ oldOffset }) => oldOffset !== null);
  const missing = places.find(
    (place) =>
      place.oldOffset === null &&
      named.some((other) => other.topic === place.topic && other.partition === place.partition),
  );
  if (missing === undefined && left.length > 0) return left;
  const where = missing === undefined ? 'there' : `in ${nameOf(missing)}`;
  throw new InvalidArgumentError(
    `Group ${quoted(groupId)} has committed nothing ${where} that could be shifted: ` +
      'reset to an offset, a time, the beginning or the end',
  );
}

/** New offsets, within what each partition holds. */
async function planOf(
  cluster: Cluster,
  places: readonly Place[],
  to: ResetTarget,
  limits: CallLimits,
): Promise<Planned[]> {
  const ask = async (timestampMs: number): Promise<number[]> => {
    const queries = places.map(({ topic, partition }) => ({ topic, partition, timestampMs }));
    return (await listOffsets(cluster, queries, limits)).map(({ offset }) => offset);
  };
  const byTime = to instanceof Date || (typeof to === 'object' && 'timestampMs' in to);
  const [beginnings, ends, found] = await Promise.all([
    ask(BEGINNING_TIMESTAMP),
    ask(END_TIMESTAMP),
    byTime ? ask(timestampOf(to)) : undefined,
  ]);
  return places.map((place, index) => {
    const beginning = beginnings[index] ?? 0;
    const end = ends[index] ?? beginning;
    const wanted = wantedOffset(to, { place, beginning, end, found: found?.[index] ?? -1 });
    const newOffset = Math.max(beginning, Math.min(wanted, end));
    return { ...place, newOffset, clampedFrom: newOffset === wanted ? null : wanted };
  });
}

interface Known {
  readonly place: Place;
  readonly beginning: number;
  readonly end: number;
  /** By time; -1 = no message is that young. */
  readonly found: number;
}

function wantedOffset(to: ResetTarget, { place, beginning, end, found }: Known): number {
  if (to === 'beginning') return beginning;
  if (to === 'end') return end;
  if ('offset' in to) return to.offset;
  if ('shift' in to) return (place.oldOffset ?? beginning) + to.shift;
  return found < 0 ? end : found;
}

/** What a coordinator says to a commit without a member when the group has members. */
const activeCodes = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'NON_EMPTY_GROUP'];

async function commit(
  cluster: Cluster,
  groupId: string,
  plan: readonly Planned[],
  limits: CallLimits,
): Promise<void> {
  try {
    await commitRows(cluster, groupId, plan, limits);
  } catch (error) {
    const active = error instanceof MillraceError && activeCodes.includes(error.code);
    if (!active) throw error;
    // It was not when it was looked at: consumers have come since.
    const group = await findGroup(cluster, groupId, limits);
    throw stillActive(group ?? { groupId, state: 'Stable', members: [] });
  }
}

async function commitRows(
  cluster: Cluster,
  groupId: string,
  plan: readonly Planned[],
  limits: CallLimits,
): Promise<void> {
  const describe = (row: Planned): string =>
    `set the offset of ${nameOf(row)} of group ${quoted(groupId)}`;
  const ask = async (rows: readonly Planned[]) => {
    const entries = rows.map(({ topicId, partition, newOffset }) => {
      return { topicId, partition, offset: newOffset, leaderEpoch: -1, metadata: null };
    });
    const nobody = { memberId: '', generation: -1, groupInstanceId: null };
    const request = { groupId, ...nobody, entries };
    const { response, broker } = await askCoordinator(cluster, groupId, offsetCommitApi, request);
    return response.entries.map((row) => ({ row, broker }));
  };
  const settled = await settleRows(
    cluster,
    { action: 'offsetCommit', describe, ask },
    plan,
    limits,
  );
  const errors = settled.flatMap(({ item, error, broker }) => {
    if (error === undefined) return [];
    const { topic, partition } = item;
    return [new BrokerError(error, { broker, topic, partition, action: describe(item) })];
  });
  const active = errors.find(({ code }) => activeCodes.includes(code));
  if (active !== undefined) throw active;
  throwAll(errors, 'Some offsets were not reset');
}

function nameOf({ topic, partition }: PartitionOfTopic): string {
  return partitionName(topic, partition);
}
