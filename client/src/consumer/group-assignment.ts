import type { Cluster } from '../cluster.js';
import { toMillraceError, type MillraceError } from '../errors.js';
import type { Membership, MembershipListener, TopicPartition } from '../group/membership.js';
import { Deferred, raceAbort } from '../util/async.js';
import type { Delivery } from './delivery.js';
import type { ResolvedGroupOptions } from './group-options.js';
import type { RebalanceHooks } from './hooks.js';
import type { OffsetCommitter, ReaderStand } from './offset-committer.js';
import { PartitionReader } from './partition-reader.js';
import type { PartitionStream } from './partition-stream.js';
import { startOffsets } from './start-offsets.js';

/** What a group consumer needs of its membership. */
export type GroupMembership = Pick<
  Membership,
  'commit' | 'fetchOffsets' | 'handling' | 'idle' | 'leave' | 'refreshTopics' | 'start'
>;

/** The parts of a group consumer that partitions come to and go from. */
export interface AssignmentParts {
  readonly cluster: Cluster;
  readonly options: ResolvedGroupOptions;
  readonly stream: PartitionStream;
  readonly delivery: Delivery;
  readonly hooks: RebalanceHooks;
  readonly committer: OffsetCommitter;
  readonly membership: () => GroupMembership;
  /** Aborted when the consumer is closed. */
  readonly signal: AbortSignal;
  /** Surfaces from the iteration, before any further message. */
  readonly fail: (error: unknown) => void;
}

/**
 * Carries out what the group decides about partitions. What is taken away gives out no further
 * message from that moment on; it is given up when the application is done with what it has in
 * hand of it, its hooks have run, and what was handled is committed.
 */
export class GroupAssignment implements MembershipListener {
  readonly #parts: AssignmentParts;
  /** Taken from the stream already, but ours until they are committed. */
  readonly #revoking = new Set<PartitionReader>();
  #movedOn: Deferred<undefined> | undefined;
  /** What a `revoked` hook has thrown. */
  #failure: { readonly error: unknown } | undefined;
  /** What runs at present, for {@link close} to wait for. */
  #running: Promise<void> = Promise.resolve();

  constructor(parts: AssignmentParts) {
    this.#parts = parts;
  }

  /** All whose positions may be committed. */
  get readers(): readonly PartitionReader[] {
    return [...this.#parts.stream.readers, ...this.#revoking];
  }

  reader(topic: string, partition: number): PartitionReader | undefined {
    return this.readers.find((each) => each.topic === topic && each.partition === partition);
  }

  /** What is handled of these, for {@link OffsetCommitter.advance}. */
  handled(readers: Iterable<PartitionReader> = this.readers): ReaderStand[] {
    const { delivery } = this.#parts;
    return Array.from(readers, (reader) => ({
      reader,
      ...delivery.handled(reader),
      metadata: null,
    }));
  }

  /** The application is done with what it had in hand. */
  movedOn(): void {
    this.#movedOn?.resolve(undefined);
    this.#movedOn = undefined;
  }

  onAssigned(added: readonly TopicPartition[]): Promise<void> {
    return this.#run(() => this.#assign(added));
  }

  onRevoked(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#run(() => this.#revoke(partitions));
  }

  onLost(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#run(() => this.#lose(this.#readersOf(partitions)));
  }

  onFailed(error: MillraceError): void {
    void this.#lose(this.readers).then(() => this.#parts.fail(error));
  }

  /**
   * Gives everything up, as if it were revoked, but waits for no handler: what the application has
   * in hand counts as not handled.
   *
   * @throws what a hook has thrown.
   */
  async close(): Promise<void> {
    this.movedOn();
    await this.#running;
    const readers = [...this.#parts.stream.readers];
    for (const reader of readers) this.#revoking.add(reader);
    await this.#finish(readers);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The membership sees to it that no two run at a time. */
  #run(step: () => Promise<void>): Promise<void> {
    if (this.#parts.signal.aborted) return Promise.resolve();
    const running = step();
    this.#running = running.catch(() => undefined);
    return running;
  }

  async #assign(added: readonly TopicPartition[]): Promise<void> {
    if (added.length === 0) return;
    const { stream, committer, hooks, signal } = this.#parts;
    try {
      const readers = await raceAbort(this.#startReaders(added), signal);
      for (const { reader, committed } of readers) committer.assigned(reader, committed);
      const all = readers.map(({ reader }) => reader);
      // The hook finds them assigned, and may seek and pause before the first fetch.
      stream.assign(all);
      try {
        await hooks.run('assigned', added);
      } catch (error) {
        this.#parts.fail(error);
      }
      stream.release(all.filter((reader) => stream.readers.has(reader)));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #startReaders(
    added: readonly TopicPartition[],
  ): Promise<{ reader: PartitionReader; committed: number | undefined }[]> {
    const { cluster, options, membership, signal } = this.#parts;
    const committed = await membership().fetchOffsets(added);
    const fresh = added.filter((_, index) => committed[index] === undefined);
    const limits = { signal, retryForMs: Infinity };
    const starts =
      fresh.length === 0 ? [] : await startOffsets(cluster, fresh, options.from, limits);
    let next = 0;
    return added.map(({ topic, topicId, partition }, index) => {
      const known = committed[index];
      const reader = new PartitionReader(
        topic,
        topicId,
        partition,
        known?.offset ?? starts[next++] ?? 0,
      );
      reader.held = true;
      reader.leaderEpoch = known?.leaderEpoch ?? -1;
      return { reader, committed: known?.offset };
    });
  }

  async #revoke(partitions: readonly TopicPartition[]): Promise<void> {
    const { stream, delivery } = this.#parts;
    const readers = this.#readersOf(partitions);
    for (const reader of readers) this.#revoking.add(reader);
    stream.unassign(new Set(readers));
    if (readers.some((reader) => delivery.isInHand(reader))) {
      this.#movedOn ??= new Deferred();
      await this.#movedOn.promise;
    }
    try {
      await this.#finish(readers.filter((reader) => this.#revoking.has(reader)));
    } catch (error) {
      this.#failure ??= { error };
      this.#parts.fail(error);
    }
  }

  /** Runs the hooks, then commits what was handled: what a hook fails to store is not committed. */
  async #finish(readers: readonly PartitionReader[]): Promise<void> {
    const { hooks, committer, options } = this.#parts;
    try {
      await hooks.run('revoked', readers.map(partitionOf));
      if (options.autoCommit) await this.#commit(readers);
    } finally {
      for (const reader of readers) {
        this.#revoking.delete(reader);
        committer.forget(reader);
      }
    }
  }

  /** What cannot be committed is handled again by the next owner; that must not hold up a group. */
  async #commit(readers: readonly PartitionReader[]): Promise<void> {
    const { committer, cluster } = this.#parts;
    const still = readers.filter((reader) => this.#revoking.has(reader));
    try {
      await committer.advance(this.handled(still));
    } catch (error) {
      cluster.onEvent({ type: 'warning', error: toMillraceError(error) });
    }
  }

  async #lose(readers: readonly PartitionReader[]): Promise<void> {
    const { stream, hooks, committer } = this.#parts;
    stream.unassign(new Set(readers));
    for (const reader of readers) {
      this.#revoking.delete(reader);
      committer.forget(reader);
    }
    this.movedOn();
    try {
      await hooks.run('lost', readers.map(partitionOf));
    } catch (error) {
      this.#parts.fail(error);
    }
  }

  #readersOf(partitions: readonly TopicPartition[]): PartitionReader[] {
    const all = this.readers;
    return partitions.flatMap(({ topicId, partition }) => {
      const found = all.find((each) => each.topicId === topicId && each.partition === partition);
      return found ?? [];
    });
  }
}

function partitionOf({ topic, topicId, partition }: PartitionReader): TopicPartition {
  return { topic, topicId, partition };
}
