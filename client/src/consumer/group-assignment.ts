import type { Cluster } from '../cluster.js';
import { toMillraceError, type MillraceError } from '../errors.js';
import type { Membership, MembershipListener, TopicPartition } from '../group/membership.js';
import { partitionKey } from '../group/partitions.js';
import { Deferred, raceAbort } from '../util/async.js';
import { partitionName } from '../util/text.js';
import type { Delivery } from './delivery.js';
import type { ResolvedGroupOptions } from './group-options.js';
import type { RebalanceEvent, RebalanceHooks } from './hooks.js';
import type { OffsetCommitter, ReaderStand } from './offset-committer.js';
import { GroupStarts, type StartedReader } from './group-starts.js';
import type { PartitionReader } from './partition-reader.js';
import type { PartitionStream } from './partition-stream.js';

/** Partitions that a message names. */
const MAX_NAMES = 10;

/** What a group consumer needs of its membership. */
export type GroupMembership = Pick<
  Membership,
  | 'busyWith'
  | 'commit'
  | 'doneWith'
  | 'fetchOffsets'
  | 'handling'
  | 'idle'
  | 'leave'
  | 'refreshTopics'
  | 'start'
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
  readonly #starts: GroupStarts;
  /** On their way to a reader. */
  readonly #coming = new Set<string>();
  /** Taken from the stream already, but ours until they are committed. */
  readonly #revoking = new Set<PartitionReader>();
  /** Cut off; `lost` is yet to be told. */
  readonly #lost = new Set<PartitionReader>();
  /** `revoked` was told, so `lost` is not. */
  readonly #told = new WeakSet<PartitionReader>();
  #movedOn: Deferred<undefined> | undefined;
  /** What a `revoked` hook has thrown. */
  #failure: { readonly error: unknown } | undefined;
  /** What runs at present, for {@link close} to wait for. */
  #running: Promise<void> = Promise.resolve();

  constructor(parts: AssignmentParts) {
    this.#parts = parts;
    const { cluster, options, signal } = parts;
    this.#starts = new GroupStarts(cluster, options.from, signal);
  }

  /** All whose positions may be committed. */
  get readers(): readonly PartitionReader[] {
    return [...this.#parts.stream.readers, ...this.#revoking];
  }

  reader(topic: string, partition: number): PartitionReader | undefined {
    return this.readers.find((each) => each.topic === topic && each.partition === partition);
  }

  /** Whether it is ours still; another reader of the same partition is of another assignment. */
  has(reader: PartitionReader): boolean {
    return this.#parts.stream.readers.has(reader) || this.#revoking.has(reader);
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

  onCutOff(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#coming.delete(partitionKey(partition));
    this.#cutOff(this.#readersOf(partitions));
  }

  onLost(): Promise<void> {
    return this.#run(() => this.#tellLost());
  }

  onFailed(error: MillraceError): void {
    this.#coming.clear();
    this.#cutOff(this.readers);
    // A hook that runs may be what it failed of: nothing waits for that.
    this.#running = this.#tellLost();
    this.#parts.fail(error);
  }

  /** It has failed before it was assigned anything: nothing waits for the hooks that run. */
  abandon(): void {
    this.#running = Promise.resolve();
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
    this.#starts.begun();
    if (added.length === 0) return;
    const { stream, signal } = this.#parts;
    try {
      const readers = await raceAbort(this.#startReaders(added), signal);
      // The hook finds them assigned, and may seek and pause before the first fetch.
      stream.assign(readers);
      try {
        await this.#runHooks('assigned', readers);
      } catch (error) {
        this.#parts.fail(error);
      }
      stream.release(readers.filter((reader) => stream.readers.has(reader)));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Of those that are not cut off meanwhile. */
  async #startReaders(added: readonly TopicPartition[]): Promise<PartitionReader[]> {
    const { committer, membership, options } = this.#parts;
    for (const partition of added) this.#coming.add(partitionKey(partition));
    const found = await this.#starts.readers(added, await membership().fetchOffsets(added));
    const isComing = ({ reader }: StartedReader): boolean => this.#coming.has(partitionKey(reader));
    const ours = found.filter(isComing);
    for (const { reader, committed } of ours) committer.assigned(reader, committed);
    // Else the next member would begin at a later end, and skip what came between.
    if (options.from !== 'beginning') {
      const fresh = ours.filter(({ committed }) => committed === undefined);
      await this.#commit(fresh.map(({ reader }) => reader));
    }
    const still = ours.filter(isComing);
    for (const { reader } of still) this.#coming.delete(partitionKey(reader));
    return still.map(({ reader }) => reader);
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
    // What was cut off while it waited for the handler.
    await this.#tellLost();
  }

  /** Runs the hooks, then commits what was handled: what a hook fails to store is not committed. */
  async #finish(readers: readonly PartitionReader[]): Promise<void> {
    const { committer, options } = this.#parts;
    for (const reader of readers) this.#told.add(reader);
    try {
      await this.#runHooks('revoked', readers);
      const still = readers.filter((reader) => this.#revoking.has(reader));
      if (options.autoCommit) await this.#commit(still);
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
    try {
      await committer.advance(this.handled(readers));
    } catch (error) {
      cluster.onEvent({ type: 'warning', error: toMillraceError(error) });
    }
  }

  /** From now on nothing of them is given out or committed, whatever else is under way. */
  #cutOff(readers: readonly PartitionReader[]): void {
    const { stream, committer } = this.#parts;
    stream.unassign(new Set(readers));
    for (const reader of readers) {
      this.#revoking.delete(reader);
      committer.forget(reader);
      if (!this.#told.has(reader)) this.#lost.add(reader);
    }
    this.movedOn();
  }

  async #tellLost(): Promise<void> {
    const readers = [...this.#lost];
    this.#lost.clear();
    try {
      await this.#runHooks('lost', readers);
    } catch (error) {
      this.#parts.fail(error);
    }
  }

  /** A hook that is stuck is told of as a handler is. */
  async #runHooks(event: RebalanceEvent, readers: readonly PartitionReader[]): Promise<void> {
    const { hooks, membership } = this.#parts;
    if (readers.length === 0 || !hooks.has(event)) return;
    membership().busyWith(`the ${event} hook of ${namesOf(readers)}`);
    try {
      await hooks.run(event, readers.map(partitionOf));
    } finally {
      membership().doneWith();
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

function namesOf(readers: readonly PartitionReader[]): string {
  const names = readers
    .slice(0, MAX_NAMES)
    .map(({ topic, partition }) => partitionName(topic, partition));
  const more = readers.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function partitionOf({ topic, topicId, partition }: PartitionReader): TopicPartition {
  return { topic, topicId, partition };
}
