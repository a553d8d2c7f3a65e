import { BEGINNING_TIMESTAMP, END_TIMESTAMP } from '@millrace/protocol';
import type { CallLimits, Cluster, TopicRoute } from '../cluster.js';
import { OffsetOutOfRangeError } from '../errors.js';
import { noSuchPartition } from '../missing.js';
import { listOffsets } from '../offsets.js';
import { partitionName } from '../util/text.js';
import type { OutOfRangePolicy } from './fetch-options.js';
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
  const keys = wanted.map(({ route, partition }) => ({ topic: route.name, partition }));
  const offsets = await startOffsets(cluster, keys, from, limits);
  return wanted.map(
    ({ route, partition }, index) =>
      new PartitionReader(route.name, route.topicId, partition, offsets[index] ?? 0),
  );
}

function partitionsOf(route: TopicRoute, only: readonly number[] | undefined): readonly number[] {
  const count = route.partitions.length;
  for (const partition of only ?? []) {
    if (partition < count) continue;
    throw noSuchPartition(route.name, partition, count);
  }
  return only ?? route.partitions.map((_, partition) => partition);
}

/** The offset in each partition, in their order, that the start position means. */
export async function startOffsets(
  cluster: Cluster,
  wanted: readonly { readonly topic: string; readonly partition: number }[],
  from: StartPosition,
  limits: CallLimits,
): Promise<number[]> {
  const query = (at: number) =>
    wanted.map(({ topic, partition }) => ({ topic, partition, timestampMs: at }));
  if (typeof from === 'object' && 'offset' in from) {
    const { offset, clamp = false } = from;
    if (!clamp) return wanted.map(() => offset);
    const [beginnings, ends] = await Promise.all(
      [BEGINNING_TIMESTAMP, END_TIMESTAMP].map((at) => listOffsets(cluster, query(at), limits)),
    );
    return wanted.map((_, index) => {
      const beginning = beginnings?.[index]?.offset ?? 0;
      return Math.max(beginning, Math.min(offset, ends?.[index]?.offset ?? beginning));
    });
  }
  const timestampMs = timestampOf(from);
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
 * Where to go on after a position that the broker called out of range.
 *
 * @throws OffsetOutOfRangeError with the policy `'fail'`.
 */
export async function resetOffset(
  cluster: Cluster,
  reader: PartitionReader,
  policy: OutOfRangePolicy,
  limits: CallLimits,
): Promise<number> {
  const { topic, partition, fetchOffset: offset } = reader;
  const [beginning, end] = await listOffsets(
    cluster,
    [BEGINNING_TIMESTAMP, END_TIMESTAMP].map((timestampMs) => ({ topic, partition, timestampMs })),
    limits,
  );
  const beginningOffset = beginning?.offset ?? 0;
  const endOffset = end?.offset ?? 0;
  const error = new OffsetOutOfRangeError(outOfRange(reader, beginningOffset, endOffset), {
    topic,
    partition,
    offset,
    beginningOffset,
    endOffset,
  });
  if (policy === 'fail') throw error;
  cluster.onEvent({ type: 'warning', error });
  return policy === 'beginning' ? beginningOffset : endOffset;
}

function outOfRange(reader: PartitionReader, beginningOffset: number, endOffset: number): string {
  const where = partitionName(reader.topic, reader.partition);
  const [holds, start] =
    beginningOffset >= endOffset
      ? [`the partition is empty, its next message gets offset ${endOffset}`, 'there']
      : [`it holds offsets ${beginningOffset} to ${endOffset - 1}`, 'within that'];
  return (
    `Offset ${reader.fetchOffset} of ${where} is out of range: ${holds}. Start ${start}, or say ` +
    'with onOutOfRange where to go on'
  );
}
