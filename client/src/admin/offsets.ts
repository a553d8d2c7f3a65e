import { BEGINNING_TIMESTAMP, END_TIMESTAMP } from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { InvalidArgumentError } from '../errors.js';
import { listOffsets } from '../offsets.js';
import type { OffsetAt, PartitionOffset, PartitionOffsets } from './topic-types.js';

/** See Admin.listOffsets. */
export async function listTopicOffsets(
  cluster: Cluster,
  topic: string,
  at: OffsetAt,
  limits: CallLimits,
): Promise<PartitionOffset[]> {
  const timestampMs = timestampOf(at);
  const route = await cluster.topicWithRetry(topic, limits);
  const queries = route.partitions.map((_, partition) => ({ topic, partition, timestampMs }));
  const answers = await listOffsets(cluster, queries, limits);
  return answers.map(({ partition, offset, timestampMs: foundMs }) => ({
    partition,
    offset: offset < 0 ? undefined : offset,
    timestampMs: foundMs < 0 ? undefined : foundMs,
  }));
}

/** See Admin.offsets. */
export async function topicOffsets(
  cluster: Cluster,
  topic: string,
  limits: CallLimits,
): Promise<PartitionOffsets[]> {
  const [beginnings, ends] = await Promise.all([
    listTopicOffsets(cluster, topic, 'beginning', limits),
    listTopicOffsets(cluster, topic, 'end', limits),
  ]);
  return beginnings.map(({ partition, offset = 0 }, index) => ({
    partition,
    beginning: offset,
    end: ends[index]?.offset ?? offset,
  }));
}

/** @throws InvalidArgumentError for what is no time. */
export function timestampOf(at: OffsetAt): number {
  if (at === 'beginning') return BEGINNING_TIMESTAMP;
  if (at === 'end') return END_TIMESTAMP;
  const timestampMs = at instanceof Date ? at.getTime() : at.timestampMs;
  if (Number.isSafeInteger(timestampMs) && timestampMs >= 0) return timestampMs;
  throw new InvalidArgumentError(`${String(timestampMs)} is not Unix time in whole milliseconds`);
}
