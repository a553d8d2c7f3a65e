import { describeTopicsApi, NO_TOPIC_ID, ProtocolError } from '@millrace/protocol';
import type {
  DescribedConfig,
  DescribedPartition,
  DescribedTopic,
  DescribeTopicsRequest,
  DescribeTopicsResponse,
} from '@millrace/protocol';
import type { Partition } from '../topics/partition.js';
import { describeTopicConfigKeys } from '../topics/topic-config.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseRepeated, refuseTooLarge } from './response-bounds.js';
import type { HandlerServices } from './services.js';

/** Values in a response: of a topic with its configuration, and of a partition. */
const VALUES = { perTopic: 6 + 4 * describeTopicConfigKeys().length, perPartition: 8 } as const;

/** Tells everything about topics: configuration, offsets, sizes, state. */
export class DescribeTopicsHandler implements Handler<
  DescribeTopicsRequest,
  DescribeTopicsResponse
> {
  readonly api = describeTopicsApi;

  constructor(private readonly services: HandlerServices) {}

  handle({ names }: DescribeTopicsRequest): Reply<DescribeTopicsResponse> {
    const { topics } = this.services.storage;
    refuseRepeated(this.api.name, names);
    const wanted = names.map((name) => topics.byName(name));
    refuseTooLarge(this.api.name, wanted, VALUES);
    return reply({ topics: names.map((name) => this.#describe(name)) });
  }

  #describe(name: string): DescribedTopic {
    const { nodeId, topics } = this.services.storage;
    const topic = topics.byName(name);
    if (topic === undefined) {
      const { code, message } = new ProtocolError(
        'UNKNOWN_TOPIC_OR_PARTITION',
        `There is no topic ${JSON.stringify(name)}`,
      );
      const failure = { errorCode: code, errorMessage: message };
      return { ...failure, name, topicId: NO_TOPIC_ID, config: [], partitions: [] };
    }
    const config = topic
      .describeConfig()
      .map(({ key, value, source }): DescribedConfig => [key, value, source]);
    const partitions = topic.partitions.map((partition) => describePartition(partition, nodeId));
    return { errorCode: 0, errorMessage: null, name, topicId: topic.id, config, partitions };
  }
}

function describePartition(partition: Partition, nodeId: number): DescribedPartition {
  const { index, leaderEpoch, startOffset, endOffset, sizeBytes, state } = partition;
  return {
    ...{ partition: index, leader: nodeId, leaderEpoch },
    ...{ startOffset, endOffset, sizeBytes, state },
  };
}
