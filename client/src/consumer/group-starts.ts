import type { Cluster } from '../cluster.js';
import type { CommittedPosition, TopicPartition } from '../group/membership.js';
import { onAbort } from '../util/abort.js';
import type { StartPosition } from './options.js';
import { PartitionReader } from './partition-reader.js';
import { startOffsets } from './start-offsets.js';

/** A partition that has come, and what the group has committed of it. */
export interface StartedReader {
  readonly reader: PartitionReader;
  readonly committed: number | undefined;
}

/**
 * Where a member of a group begins in a partition: at the committed offset. Where there is none,
 * `from` says; but a partition that came into being after the member has started is read from its
 * beginning, as without a group: with `'end'` what was written before the group knew of it would be
 * skipped.
 */
export class GroupStarts {
  readonly #cluster: Cluster;
  readonly #from: StartPosition;
  readonly #signal: AbortSignal;
  /** Partitions by topic id, as of the first assignment. */
  readonly #counts = new Map<string, number>();
  readonly #stopCounting: () => void;

  /** @param signal ends what is under way */
  constructor(cluster: Cluster, from: StartPosition, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#from = from;
    this.#signal = signal;
    this.#stopCounting = cluster.onTopic(({ topicId, partitions }) => {
      this.#counts.set(topicId, partitions.length);
    });
    onAbort(signal, this.#stopCounting);
  }

  /** What is found from now on has come later. */
  begun(): void {
    this.#stopCounting();
  }

  /** Readers, held, at the committed offsets or where the group begins. */
  async readers(
    added: readonly TopicPartition[],
    committed: readonly (CommittedPosition | undefined)[],
  ): Promise<StartedReader[]> {
    const fresh = added.filter((_, index) => committed[index] === undefined);
    const starts = await this.#starts(fresh);
    return added.map((partition, index) => {
      const known = committed[index];
      const { topic, topicId, partition: number } = partition;
      const offset = known?.offset ?? starts.get(partition) ?? 0;
      const reader = new PartitionReader(topic, topicId, number, offset);
      reader.held = true;
      reader.leaderEpoch = known?.leaderEpoch ?? -1;
      return { reader, committed: known?.offset };
    });
  }

  async #starts(fresh: readonly TopicPartition[]): Promise<Map<TopicPartition, number>> {
    const starts = new Map<TopicPartition, number>();
    const find = async (some: readonly TopicPartition[], from: StartPosition): Promise<void> => {
      if (some.length === 0) return;
      const limits = { signal: this.#signal, retryForMs: Infinity };
      const offsets = await startOffsets(this.#cluster, some, from, limits);
      for (const [index, partition] of some.entries()) starts.set(partition, offsets[index] ?? 0);
    };
    await Promise.all([
      find(
        fresh.filter((each) => !this.#cameLater(each)),
        this.#from,
      ),
      find(
        fresh.filter((each) => this.#cameLater(each)),
        'beginning',
      ),
    ]);
    return starts;
  }

  #cameLater({ topicId, partition }: TopicPartition): boolean {
    return partition >= (this.#counts.get(topicId) ?? 0);
  }
}
