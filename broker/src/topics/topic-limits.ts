import { ProtocolError } from '@millrace/protocol';
import type { StorageConfig } from '../storage/storage-config.js';

/** Topics and partitions that are there, or are to be. */
export interface TopicCount {
  readonly topics: number;
  readonly partitions: number;
}

/** Holds a broker's topics and partitions to its limits, those that are only being made included. */
export class TopicLimits {
  readonly #reserved = new Set<TopicCount>();

  constructor(
    private readonly limits: Pick<StorageConfig, 'maxTopics' | 'maxPartitions'>,
    private readonly present: () => TopicCount,
  ) {}

  /**
   * Counts `added` against the limits until the returned function is called: once it counts by being
   * there, or is not made after all.
   * @throws ProtocolError LIMIT_EXCEEDED
   */
  reserve(added: TopicCount): () => void {
    const { maxTopics, maxPartitions } = this.limits;
    const { topics, partitions } = this.#countWith(added);
    if (added.topics > 0 && topics > maxTopics) {
      throw new ProtocolError('LIMIT_EXCEEDED', `this broker has its maxTopics of ${maxTopics}`);
    }
    if (partitions > maxPartitions) {
      throw new ProtocolError(
        'LIMIT_EXCEEDED',
        `${added.partitions} more partitions would exceed this broker's maxPartitions of ` +
          `${maxPartitions}`,
      );
    }
    this.#reserved.add(added);
    return () => this.#reserved.delete(added);
  }

  #countWith(added: TopicCount): TopicCount {
    let { topics, partitions } = this.present();
    for (const count of [...this.#reserved, added]) {
      topics += count.topics;
      partitions += count.partitions;
    }
    return { topics, partitions };
  }

  /** @throws ProtocolError INVALID_PARTITIONS when no topic may have so many partitions. */
  checkPartitions(name: string, partitions: number): void {
    const { maxPartitions } = this.limits;
    if (Number.isInteger(partitions) && partitions >= 1 && partitions <= maxPartitions) return;
    throw new ProtocolError(
      'INVALID_PARTITIONS',
      `topic ${name}: ${partitions} partitions; a topic has from 1 to ${maxPartitions}`,
    );
  }
}
