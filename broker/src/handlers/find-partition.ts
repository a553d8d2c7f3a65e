import { ProtocolError } from '@millrace/protocol';
import type { PartitionKey } from '@millrace/protocol';
import type { Partition } from '../topics/partition.js';
import type { TopicRegistry } from '../topics/topic-registry.js';

/** @throws ProtocolError `UNKNOWN_TOPIC_ID`, or `UNKNOWN_TOPIC_OR_PARTITION`. */
export function findPartition(
  topics: Pick<TopicRegistry, 'byId'>,
  { topicId, partition }: PartitionKey,
): Partition {
  const topic = topics.byId(topicId);
  if (topic === undefined) {
    throw new ProtocolError(
      'UNKNOWN_TOPIC_ID',
      `No topic has the id ${topicId}; it may have been deleted, so refresh the metadata`,
    );
  }
  const found = topic.partitions[partition];
  if (found !== undefined) return found;
  throw new ProtocolError(
    'UNKNOWN_TOPIC_OR_PARTITION',
    `Topic ${topic.name} has partitions 0 to ${topic.partitions.length - 1}, not ${partition}`,
  );
}
