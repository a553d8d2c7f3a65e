import type { Cluster } from '../cluster.js';
import {
  ClosedError,
  InvalidArgumentError,
  RebalanceError,
  toMillraceError,
  type MillraceError,
} from '../errors.js';
import {
  Membership,
  type MembershipListener,
  type MembershipOptions,
} from '../group/membership.js';
import { ignore, settledWithin } from '../util/async.js';
import { integerOption } from '../util/check.js';
import { partitionName, quoted } from '../util/text.js';
import type { FetchedBatch } from './fetched-batch.js';
import { GroupAssignment, type GroupMembership } from './group-assignment.js';
import {
  resolveGroupOptions,
  type GroupConsumerOptions,
  type ResolvedGroupOptions,
} from './group-options.js';
import { RebalanceHooks, type RebalanceEvent, type RebalanceHook } from './hooks.js';
import { Message } from './message.js';
import { OffsetCommitter, type ReaderStand } from './offset-committer.js';
import type { PartitionReader } from './partition-reader.js';
import { StreamConsumer, type PartitionName } from './stream-consumer.js';

/** What is left for leaving the group when committing took all of `closeTimeoutMs`. */
const MIN_LEAVE_MS = 250;

/** A position to commit: `offset` is that of the next message to read. */
export interface OffsetToCommit extends PartitionName {
  readonly offset: number;
  /** Kept with the offset, for whoever reads it. */
  readonly metadata?: string | null | undefined;
}

/** What a group has committed of a partition. */
export interface CommittedOffset extends PartitionName {
  /** The next message to read; undefined when nothing was committed. */
  readonly offset: number | undefined;
  readonly metadata: string | null;
}

/** What a group consumer needs from its client. */
export interface GroupConsumerContext {
  readonly cluster: Cluster;
  readonly closeTimeoutMs: number;
  readonly onClosed: (consumer: GroupConsumer) => void;
  /** Default {@link Membership}; given by tests. */
  readonly join?: (options: MembershipOptions, listener: MembershipListener) => GroupMembership;
}

/**
 * Reads topics together with the other members of a group: each partition is read by one of them,
 * and moves to another when this one goes. The group goes on where it has committed.
 *
 * **At least once.** A message counts as handled when the next one is asked for, so when the loop
 * body has finished; with `batches()` so does a batch. Only what is handled is committed (every
 * `autoCommitIntervalMs`, when a partition moves, by `close()`). After a crash, what was handled
 * since the last commit comes again. Leaving the loop by `break`, `return` or an exception leaves
 * the message in hand unhandled, for it cannot be known whether it was: it comes again, unless
 * `await consumer.commit()` was called before.
 *
 * A partition that moves while a message of it is being handled moves when that is done. It can be
 * iterated once; leaving the loop, for whatever reason, closes the consumer.
 */
export class GroupConsumer extends StreamConsumer {
  readonly #context: GroupConsumerContext;
  readonly #options: ResolvedGroupOptions;
  readonly #hooks = new RebalanceHooks();
  readonly #committer: OffsetCommitter;
  readonly #assignment: GroupAssignment;
  readonly #membership: GroupMembership;
  #starting: Promise<void> | undefined;
  #committing: NodeJS.Timeout | undefined;
  #isCommitting = false;
  #commitFailures = 0;
  #closed: Promise<void> | undefined;
  /** Nothing can be committed any more. */
  #left = false;

  /** Made by `client.consumer({ group, … })`. */
  constructor(context: GroupConsumerContext, options: GroupConsumerOptions) {
    const resolved = resolveGroupOptions(options);
    super(context.cluster, resolved, () => this.#membership.handling());
    const { cluster } = context;
    this.#context = context;
    this.#options = resolved;
    this.#committer = new OffsetCommitter((rows) => this.#membership.commit(rows));
    this.#assignment = new GroupAssignment({
      ...{ cluster, options: resolved, stream: this.stream, delivery: this.delivery },
      ...{ hooks: this.#hooks, committer: this.#committer, signal: this.closing.signal },
      membership: () => this.#membership,
      fail: (error) => this.#fail(error),
    });
    const join = context.join ?? ((own, listener) => new Membership(cluster, own, listener));
    const { metadataMaxAgeMs } = cluster;
    this.#membership = join({ ...resolved.membership, metadataMaxAgeMs }, this.#assignment);
    this.endWith(resolved.signal);
  }

  /**
   * Joins the group; resolves with the first partitions, which may be none. Iterating does it too.
   *
   * @throws UnknownTopicError and other errors that are final; the signal's reason.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Calls the hook with partitions that come (`assigned`, before the first message of them), that
   * are given up (`revoked`, after the last message of them was handled; also by `close()`), or
   * that were taken away (`lost`, when the group has thrown this member out: somebody else may
   * read them already, and nothing of them can be committed). Hooks are awaited. What is handled
   * of a partition is committed after its `revoked` hooks, and only if they succeed, so what they
   * store is stored first; `commit()` and, in `assigned`, `seek` and `pause` work in them. What a
   * hook throws is thrown from the iteration.
   *
   * @returns the way to stop.
   */
  on(event: RebalanceEvent, hook: RebalanceHook): () => void {
    return this.#hooks.on(event, hook);
  }

  /**
   * Commits, durably, and awaits it: without an argument everything given out so far, the message
   * (or batch) in hand included, and so it belongs at the end of the loop's body; with a message
   * or batch the position behind it; with an array those positions. The first never takes a
   * committed position back, unless `seek` did.
   *
   * @throws RebalanceError when a partition is not assigned to this consumer (any more): whoever
   *   has it handles the messages again; FencedInstanceError, BrokerError, ConnectionError,
   *   ClosedError, InvalidArgumentError
   */
  async commit(what?: Message | FetchedBatch | readonly OffsetToCommit[]): Promise<void> {
    if (this.#left) throw new ClosedError('The consumer was closed');
    if (what !== undefined) {
      await this.#committer.set(this.#standsOf(what));
      return;
    }
    const { delivery } = this;
    const stands = this.#assignment.readers.map((reader) => ({
      reader,
      ...delivery.position(reader),
      metadata: null,
    }));
    const { inHand } = delivery;
    await this.#committer.advance(stands);
    // Thrown when its partition has gone.
    if (inHand !== undefined) this.#readerOf(inHand.topic, inHand.partition);
  }

  override seek(topic: string, partition: number, offset: number): void {
    super.seek(topic, partition, offset);
    // The next commit may take the position back.
    this.#committer.jumped(this.assigned(topic, partition));
  }

  /** What the group has committed of the partitions that this consumer has. */
  async committed(): Promise<readonly CommittedOffset[]> {
    const readers = [...this.stream.readers];
    if (readers.length === 0) return [];
    const found = await this.#membership.fetchOffsets(
      readers.map(({ topic, topicId, partition }) => ({ topic, topicId, partition })),
    );
    return readers.map(({ topic, partition }, index) => {
      const { offset, metadata = null } = found[index] ?? {};
      return { topic, partition, offset, metadata };
    });
  }

  /**
   * Ends the iteration, commits what was handled (the message in hand is not), and leaves the
   * group, so that the next member takes over at once. Waits for no handler. Takes no longer than
   * `closeTimeoutMs` of the client, or little more; what could not be committed then is told of by
   * a `warning` event, and comes again. Idempotent; not to be awaited in a hook.
   *
   * @throws what a `revoked` hook has thrown, after the group is left.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  protected onTopicGone(error: MillraceError): void {
    this.#context.cluster.onEvent({ type: 'warning', error });
    // The group gives the partitions up when it knows.
    this.#membership.refreshTopics().catch(ignore);
  }

  protected override onMovedOn(): void {
    this.#assignment.movedOn();
  }

  protected override onIdle(): void {
    this.#membership.idle();
  }

  async #start(): Promise<void> {
    this.stream.throwFailure();
    const { autoCommit, autoCommitIntervalMs } = this.#options;
    try {
      await this.#membership.start();
    } finally {
      this.stream.throwFailure();
    }
    if (!autoCommit || this.closing.signal.aborted) return;
    this.#committing = setInterval(() => this.#autoCommit(), autoCommitIntervalMs).unref();
  }

  #autoCommit(): void {
    if (this.#isCommitting) return;
    this.#isCommitting = true;
    this.#committer
      .advance(this.#assignment.handled())
      .then(() => void (this.#commitFailures = 0))
      .catch((thrown: unknown) => {
        const error = toMillraceError(thrown);
        this.#commitFailures += 1;
        const { autoCommitIntervalMs: delayMs } = this.#options;
        const told = { action: 'commit', attempt: this.#commitFailures, delayMs, error };
        this.#context.cluster.onEvent({ type: 'retry', ...told });
      })
      .finally(() => void (this.#isCommitting = false))
      .catch(ignore);
  }

  /** Before any message that is prefetched. */
  #fail(error: unknown): void {
    if (this.closing.signal.aborted) return;
    this.delivery.end();
    this.stream.fail(error);
    this.stream.stop();
  }

  async #close(): Promise<void> {
    const { closeTimeoutMs, onClosed } = this.#context;
    const deadlineMs = performance.now() + closeTimeoutMs;
    clearInterval(this.#committing);
    this.end('The consumer was closed');
    const givenUp = this.#assignment.close();
    await settledWithin(givenUp.catch(ignore), closeTimeoutMs);
    this.#left = true;
    const leftMs = Math.max(deadlineMs - performance.now(), MIN_LEAVE_MS);
    await settledWithin(this.#membership.leave(), leftMs);
    onClosed(this);
    // What a hook has thrown.
    await Promise.race([givenUp, Promise.resolve()]);
  }

  #standsOf(what: Message | FetchedBatch | readonly OffsetToCommit[]): ReaderStand[] {
    if (what instanceof Message) {
      const { topic, partition, offset } = what;
      return [this.#standOf({ topic, partition, offset: offset + 1 })];
    }
    if ('lastOffset' in what) {
      const { topic, partition, lastOffset } = what;
      return [this.#standOf({ topic, partition, offset: lastOffset + 1 })];
    }
    if (Array.isArray(what)) return what.map((each: OffsetToCommit) => this.#standOf(each));
    throw new InvalidArgumentError(
      'commit takes nothing, a message, a batch, or an array of { topic, partition, offset }',
    );
  }

  #standOf({ topic, partition, offset, metadata = null }: OffsetToCommit): ReaderStand {
    const checked = integerOption('offset', offset, 0, { minimum: 0 });
    return { reader: this.#readerOf(topic, partition), offset: checked, leaderEpoch: -1, metadata };
  }

  /** @throws RebalanceError when it is not assigned. */
  #readerOf(topic: string, partition: number): PartitionReader {
    const reader = this.#assignment.reader(topic, partition);
    if (reader !== undefined) return reader;
    const { group } = this.#options.membership;
    throw new RebalanceError(
      `${partitionName(topic, partition)} is not assigned to this member of group ` +
        `${quoted(group)} (any more), so its position was not committed: whoever has it now goes ` +
        'on from the last commit',
      { group, topic, partition },
    );
  }
}
