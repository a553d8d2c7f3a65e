import { describeTopicsApi, NO_TOPIC_ID, ProtocolError } from '@millrace/protocol';
import type {
  DescribedConfig,
  DescribedPartition,
  DescribedTopic,
  DescribeTopicsRequest,
  DescribeTopicsResponse,
} from '@millrace/protocol';
import { isInternalTopic } from '../topics/internal-topics.js';
import type { Partition } from '../topics/partition.js';
import { describeTopicConfigKeys } from '../topics/topic-config.js';
import { reply } from './handler.js';
import type { Handler, Reply } from './handler.js';
import { refuseRepeated, refuseTooLarge } from './response-bounds.js';
import type { HandlerServices } from './services.js';

/** Values in a response: of a topic with its configuration, and of a partition. */
const VALUES = { perTopic: 7 + 4 * describeTopicConfigKeys().length, perPartition: 11 } as const;

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
      const nothing = { topicId: NO_TOPIC_ID, internal: false, config: [], partitions: [] };
      return { ...failure, name, ...nothing };
    }
    const config = topic
      .describeConfig()
      .map(({ key, value, source }): DescribedConfig => [key, value, source]);
    const partitions = topic.partitions.map((partition) => describePartition(partition, nodeId));
    const internal = isInternalTopic(name);
    const described = { name, topicId: topic.id, internal, config, partitions };
    return { errorCode: 0, errorMessage: null, ...described };
  }
}

function describePartition(partition: Partition, nodeId: number): DescribedPartition {
  const { index, leaderEpoch, startOffset, endOffset, sizeBytes, state } = partition;
  const { highWatermark, segmentCount: segments, diskBytes } = partition;
  return {
    ...{ partition: index, leader: nodeId, leaderEpoch },
    ...{ startOffset, endOffset, sizeBytes },
    ...{ highWatermark, segments, diskBytes, state },
  };
}
