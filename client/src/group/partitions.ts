import type { TopicPartitions } from '@millrace/protocol';
import type { NamedPartition } from './assignors/index.js';
import type { TopicPartition } from './types.js';

/** A partition as a key: by topic id, so that a topic made anew is another one. */
export function partitionKey({ topicId, partition }: TopicPartition): string {
  return `${topicId}/${partition}`;
}

/** By topic, as the consumer protocol has it. */
export function byTopic(partitions: readonly NamedPartition[]): TopicPartitions[] {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of partitions) {
    const numbers = topics.get(topic);
    if (numbers === undefined) topics.set(topic, [partition]);
    else numbers.push(partition);
  }
  return [...topics].map(([topic, numbers]) => ({ topic, partitions: numbers }));
}

/** One by one, as assignors and members have it. */
export function oneByOne(topics: readonly TopicPartitions[]): NamedPartition[] {
  return topics.flatMap(({ topic, partitions }) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}
