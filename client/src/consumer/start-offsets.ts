import { BEGINNING_TIMESTAMP, END_TIMESTAMP } from '@millrace/protocol';
import type { CallLimits, Cluster, TopicRoute } from '../cluster.js';
import { OffsetOutOfRangeError, UnknownTopicError } from '../errors.js';
import { listOffsets } from '../offsets.js';
import type { ResolvedConsumerOptions, StartPosition } from './options.js';
import { PartitionReader } from './partition-reader.js';

/**
 * The partitions that a consumer reads and where in each it starts.
 *
 * @throws UnknownTopicError for a topic or partition that does not exist; the signal's reason.
 */
export async function startReaders(
  cluster: Cluster,
  options: ResolvedConsumerOptions,
  limits: CallLimits,
): Promise<PartitionReader[]> {
  const { topics, from } = options;
  const routes = await Promise.all(topics.map((name) => cluster.topicWithRetry(name, limits)));
  const wanted = routes.flatMap((route) =>
    partitionsOf(route, options.partitions).map((partition) => ({ route, partition })),
  );
  const offsets = await startOffsets(cluster, wanted, from, limits);
  return wanted.map(
    ({ route, partition }, index) =>
      new PartitionReader(route.name, route.topicId, partition, offsets[index] ?? 0),
  );
}

function partitionsOf(route: TopicRoute, only: readonly number[] | undefined): readonly number[] {
  const count = route.partitions.length;
  for (const partition of only ?? []) {
    if (partition < count) continue;
    throw new UnknownTopicError(
      `"${route.name}" has no partition ${partition}: they are 0 to ${count - 1}`,
      { topic: route.name, partition },
    );
  }
  return only ?? route.partitions.map((_, partition) => partition);
}

async function startOffsets(
  cluster: Cluster,
  wanted: readonly { readonly route: TopicRoute; readonly partition: number }[],
  from: StartPosition,
  limits: CallLimits,
): Promise<number[]> {
  if (typeof from === 'object' && 'offset' in from) return wanted.map(() => from.offset);
  const timestampMs = timestampOf(from);
  const query = (at: number) =>
    wanted.map(({ route, partition }) => ({ topic: route.name, partition, timestampMs: at }));
  const answers = await listOffsets(cluster, query(timestampMs), limits);
  if (answers.every(({ offset }) => offset >= 0)) return answers.map(({ offset }) => offset);
  const ends = await listOffsets(cluster, query(END_TIMESTAMP), limits);
  return answers.map(({ offset }, index) => (offset >= 0 ? offset : (ends[index]?.offset ?? 0)));
}

function timestampOf(from: Exclude<StartPosition, { readonly offset: number }>): number {
  if (from === 'beginning') return BEGINNING_TIMESTAMP;
  if (from === 'end') return END_TIMESTAMP;
  return from instanceof Date ? from.getTime() : from.timestampMs;
}

/**
 * Puts a position right that the broker called out of range.
 *
 * @throws OffsetOutOfRangeError with the policy `'fail'`.
 */
export async function resetOffset(
  cluster: Cluster,
  reader: PartitionReader,
  policy: ResolvedConsumerOptions['onOutOfRange'],
  limits: CallLimits,
): Promise<void> {
  const { topic, partition, fetchOffset: offset } = reader;
  const [beginning, end] = await listOffsets(
    cluster,
    [BEGINNING_TIMESTAMP, END_TIMESTAMP].map((timestampMs) => ({ topic, partition, timestampMs })),
    limits,
  );
  const beginningOffset = beginning?.offset ?? 0;
  const endOffset = end?.offset ?? 0;
  if (policy === 'fail') {
    throw new OffsetOutOfRangeError(
      `Offset ${offset} of ${topic}-${partition} is out of range: it holds ${beginningOffset} to ` +
        `before ${endOffset}. Start within that, or say with onOutOfRange where to go on`,
      { topic, partition, offset, beginningOffset, endOffset },
    );
  }
  reader.fetchOffset = policy === 'beginning' ? beginningOffset : endOffset;
}
