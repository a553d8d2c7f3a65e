import { ProtocolError } from '@millrace/protocol';
import type { Logger } from 'pino';
import { OFFSETS_TOPIC } from '../topics/internal-topics.js';
import type { Partition } from '../topics/partition.js';
import type { Topic, TopicRegistry } from '../topics/topic-registry.js';

const MiB = 2 ** 20;
const DAY_MS = 86_400_000;

/** Small segments: only sealed ones are compacted, and a start reads what is left of all of them. */
const SEGMENT_BYTES = 32 * MiB;
/** The state of a group is one record, whatever `max.message.bytes` clients are held to. */
const MAX_MESSAGE_BYTES = 16 * MiB;

const topicConfig: Readonly<Record<string, string>> = {
  'cleanup.policy': 'compact',
  'segment.bytes': String(SEGMENT_BYTES),
  'max.message.bytes': String(MAX_MESSAGE_BYTES),
  // Whatever the broker's defaults for its users' topics are: a start reads what is not compacted.
  'segment.ms': String(DAY_MS),
  'min.cleanable.dirty.ratio': '0.5',
  'min.compaction.lag.ms': '0',
  'max.compaction.lag.ms': '-1',
  'delete.retention.ms': String(DAY_MS),
  'message.timestamp.type': 'CreateTime',
  // The broker's own clock may step back; its records are never refused for that.
  'message.timestamp.after.max.ms': String(Number.MAX_SAFE_INTEGER),
};

/** Where records of groups are appended to. */
export interface OffsetsPartition {
  readonly partition: Pick<Partition, 'append'>;
  /** The largest batch that it takes. */
  readonly maxBatchBytes: number;
}

/** The internal topic `__offsets`: its one partition, made when the first record is to be stored. */
export class OffsetsTopic {
  constructor(
    private readonly topics: Pick<TopicRegistry, 'byName' | 'create'>,
    private readonly logger: Logger,
  ) {}

  /** The partition; undefined while there is no topic. */
  get partition(): Partition | undefined {
    return this.topics.byName(OFFSETS_TOPIC)?.partitions[0];
  }

  /**
   * The partition, with its topic made if need be.
   * @throws ProtocolError what {@link TopicRegistry.create} throws.
   */
  async open(): Promise<OffsetsPartition> {
    const topic = this.topics.byName(OFFSETS_TOPIC) ?? (await this.#create());
    const [partition] = topic.partitions;
    if (partition === undefined) throw new Error(`topic ${OFFSETS_TOPIC} has no partition`);
    return { partition, maxBatchBytes: topic.config.maxMessageBytes };
  }

  async #create(): Promise<Topic> {
    try {
      const spec = { name: OFFSETS_TOPIC, partitions: 1, config: topicConfig };
      const topic = await this.topics.create(spec, { internal: true });
      this.logger.info({ topic: topic.name, id: topic.id }, 'internal topic created');
      return topic;
    } catch (error) {
      // Somebody else was faster: one is as good as the other.
      const other = this.topics.byName(OFFSETS_TOPIC);
      const raced = error instanceof ProtocolError && error.errorName === 'TOPIC_ALREADY_EXISTS';
      if (raced && other !== undefined) return other;
      throw error;
    }
  }
}
