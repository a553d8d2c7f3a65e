import type { Field } from '../header.js';
import { MAX_CONFIG_ENTRIES, MAX_ENTRIES, MAX_PARTITIONS_PER_TOPIC } from '../limits.js';
import { boundedMessage } from './api.js';
import type { Api } from './api.js';
import { readErrorCode, readErrorMessage, readInt32, readSafe } from './common.js';
import type { RowError } from './common.js';
import { FieldReader } from './fields.js';

/** Where the value of a config entry comes from. */
export type ConfigSource = 'default' | 'broker' | 'topic';
/**
 * Whether a partition can be written and read. Of a damaged one what is sound can be read; it takes
 * nothing until an operator has repaired it.
 */
export type PartitionState = 'online' | 'offline' | 'damaged';

const configSources: readonly ConfigSource[] = ['default', 'broker', 'topic'];
const partitionStates: readonly PartitionState[] = ['online', 'offline', 'damaged'];

/** Topics to describe. */
export interface DescribeTopicsRequest {
  readonly names: readonly string[];
}

/** A config entry as it is in force. */
export type DescribedConfig = readonly [key: string, value: string, source: ConfigSource];

/** A partition and what it holds. */
export interface DescribedPartition {
  readonly partition: number;
  /** A node id; -1 = none. */
  readonly leader: number;
  /** -1 = not known. */
  readonly leaderEpoch: number;
  /** The first offset that can be read; -1 = not known. */
  readonly startOffset: number;
  /** The offset that the next record will have; -1 = not known. */
  readonly endOffset: number;
  /** Bytes of the record batches. */
  readonly sizeBytes: number;
  /** Records below this offset are visible to consumers; -1 = not known. */
  readonly highWatermark: number;
  /** Segment files, the active one included. */
  readonly segments: number;
  /** What the partition's files take on the disk. */
  readonly diskBytes: number;
  readonly state: PartitionState;
}

/** A topic, or why there is none of that name. */
export interface DescribedTopic extends RowError {
  readonly name: string;
  /** `NO_TOPIC_ID` with an error. */
  readonly topicId: string;
  /** Whether the topic belongs to the broker: clients may read it, and nothing else. */
  readonly internal: boolean;
  readonly config: readonly DescribedConfig[];
  readonly partitions: readonly DescribedPartition[];
}

/** One row for each name of the request, in its order. */
export interface DescribeTopicsResponse {
  readonly topics: readonly DescribedTopic[];
}

/**
 * Everything that there is to say about topics, for people.
 *
 * ```
 * request  => [name]
 *   name       string
 * response => [topic]
 *   topic      [errorCode int16, errorMessage string | nil, name string, topicId,
 *               internal 0 | 1, [config], [partition]]
 *   config     [key string, value string, source 'default' | 'broker' | 'topic']
 *   partition  [partition int32 ≥ 0, leader int32 ≥ -1, leaderEpoch int32 ≥ -1,
 *               startOffset int ≥ -1, endOffset int ≥ -1, sizeBytes int ≥ 0,
 *               highWatermark int ≥ -1, segments int32 ≥ 0, diskBytes int ≥ 0,
 *               state 'online' | 'offline' | 'damaged']
 * ```
 */
export const describeTopicsApi: Api<DescribeTopicsRequest, DescribeTopicsResponse> = {
  apiKey: 75,
  name: 'describeTopics',
  minVersion: 0,
  maxVersion: 0,

  encodeRequest({ names }): Field[] {
    return [names];
  },

  decodeRequest(fields): DescribeTopicsRequest {
    const reader = new FieldReader(fields, 'describeTopics');
    const names = reader.strings('names', MAX_ENTRIES);
    reader.end();
    return { names };
  },

  encodeResponse({ topics }): Field[] {
    return [topics.map(encodeTopic)];
  },

  decodeResponse(fields): DescribeTopicsResponse {
    const reader = new FieldReader(fields, 'describeTopics response');
    const topics = reader.rows('topics', MAX_ENTRIES, (row) => ({
      errorCode: readErrorCode(row),
      errorMessage: readErrorMessage(row),
      name: row.string('name'),
      topicId: row.optionalTopicId('topicId'),
      internal: row.flag('internal'),
      config: row.rows('config', MAX_CONFIG_ENTRIES, decodeConfig),
      partitions: row.rows('partitions', MAX_PARTITIONS_PER_TOPIC, decodePartition),
    }));
    reader.end();
    return { topics };
  },
};

function encodeTopic(topic: DescribedTopic): Field[] {
  const partitions = topic.partitions.map((row) => [
    row.partition,
    row.leader,
    row.leaderEpoch,
    row.startOffset,
    row.endOffset,
    row.sizeBytes,
    row.highWatermark,
    row.segments,
    row.diskBytes,
    row.state,
  ]);
  const { errorCode, errorMessage, name, topicId, internal, config } = topic;
  const flag = internal ? 1 : 0;
  return [errorCode, boundedMessage(errorMessage), name, topicId, flag, config, partitions];
}

function decodeConfig(row: FieldReader): DescribedConfig {
  return [row.string('key'), row.string('value'), row.oneOf('source', configSources)];
}

function decodePartition(row: FieldReader): DescribedPartition {
  return {
    partition: readInt32(row, 'partition', 0),
    leader: readInt32(row, 'leader', -1),
    leaderEpoch: readInt32(row, 'leaderEpoch', -1),
    startOffset: readSafe(row, 'startOffset', -1),
    endOffset: readSafe(row, 'endOffset', -1),
    sizeBytes: readSafe(row, 'sizeBytes', 0),
    highWatermark: readSafe(row, 'highWatermark', -1),
    segments: readInt32(row, 'segments', 0),
    diskBytes: readSafe(row, 'diskBytes', 0),
    state: row.oneOf('state', partitionStates),
  };
}
