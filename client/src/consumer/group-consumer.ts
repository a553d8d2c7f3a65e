import type { Cluster } from '../cluster.js';
import {
  ClosedError,
  InvalidArgumentError,
  toMillraceError,
  type MillraceError,
  type RebalanceError,
} from '../errors.js';
import {
  Membership,
  type LeaveOptions,
  type MembershipListener,
  type MembershipOptions,
} from '../group/membership.js';
import { ignore, settledWithin, sleep } from '../util/async.js';
import { backoffMs, type BackoffOptions } from '../util/backoff.js';
import { arePositions, CommitStands, type OffsetToCommit } from './commit-stands.js';
import type { FetchedBatch } from './fetched-batch.js';
import { GroupAssignment, type GroupMembership } from './group-assignment.js';
import {
  resolveGroupOptions,
  type GroupConsumerOptions,
  type ResolvedGroupOptions,
} from './group-options.js';
import { RebalanceHooks, type RebalanceEvent, type RebalanceHook } from './hooks.js';
import type { Message } from './message.js';
import { OffsetCommitter } from './offset-committer.js';
import { StreamConsumer, type PartitionName } from './stream-consumer.js';

/** What is left for leaving the group when committing took all of `closeTimeoutMs`. */
const MIN_LEAVE_MS = 250;
/** Waits before a topic that was gone is looked for once more, while the group does not give it up. */
const LOOK_AGAIN: BackoffOptions = { initialMs: 1_000, maximumMs: 60_000 };

export type { OffsetToCommit } from './commit-stands.js';

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
 * `await consumer.commit()` was called before. With several calls of `next()` at a time nobody
 * knows which message is handled when: positions then move on only when as many calls wait as ever
 * did at once, and else by `commit(message)`.
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
  readonly #stands: CommitStands;
  readonly #membership: GroupMembership;
  #starting: Promise<void> | undefined;
  #committing: NodeJS.Timeout | undefined;
  #isLookingAgain = false;
  /** Looks so far, one soon after the other. */
  #looks = 0;
  /** When it was last looked for topics that were gone (`performance.now()`). */
  #lookedAgainAtMs = -Infinity;
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
    this.#stands = new CommitStands(resolved.membership.group, this.#assignment, this.delivery);
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
   * or batch the position behind it; with an array those positions. Only an array takes a
   * committed position back; the others do so after a `seek` back. Whoever calls `next()` several
   * times at once names the message: without an argument all of them are committed.
   *
   * @throws RebalanceError when a partition is not assigned to this consumer (any more): whoever
   *   has it handles the messages again; FencedInstanceError, BrokerError, ConnectionError,
   *   ClosedError, InvalidArgumentError
   */
  async commit(what?: Message | FetchedBatch | readonly OffsetToCommit[]): Promise<void> {
    if (this.#left) throw new ClosedError('The consumer was closed');
    const { delivery } = this;
    const gone = (reader: PartitionName): RebalanceError => this.#stands.notAssigned(reader);
    if (arePositions(what)) {
      await this.#committer.set(this.#stands.at(what), gone);
      return;
    }
    if (what !== undefined) {
      await this.#committer.advance([this.#stands.behind(what)], gone);
      return;
    }
    const { inHand } = delivery;
    const stands = this.#assignment.readers.map((reader) => ({
      reader,
      ...delivery.position(reader),
      metadata: null,
    }));
    await this.#committer.advance(stands);
    // It has gone, and may have come again: what is in hand is of the time before.
    if (inHand !== undefined && !this.#assignment.has(inHand)) throw gone(inHand);
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
   * A static member keeps its place for its session. With `{ leave: true }` it leaves, too, also
   * when it was closed before (by leaving the loop, say).
   *
   * @throws what a `revoked` hook has thrown, after the group is left; InvalidArgumentError
   */
  close({ leave }: LeaveOptions = {}): Promise<void> {
    if (leave !== undefined && typeof leave !== 'boolean') {
      const error = new InvalidArgumentError(`leave must be true or false, not ${String(leave)}`);
      return Promise.reject(error);
    }
    this.#closed ??= this.#close(leave);
    return leave === true ? this.#leaveAfter(this.#closed) : this.#closed;
  }

  protected onTopicGone(error: MillraceError): void {
    this.#context.cluster.onEvent({ type: 'warning', error });
    if (!this.#isLookingAgain) this.#lookAgain().catch(ignore);
  }

  /**
   * The group gives up partitions of topics that are gone, when it knows. What it keeps was gone for a moment
   * only, as where a broker came up without the topic's file.
   */
  async #lookAgain(): Promise<void> {
    this.#isLookingAgain = true;
    const calmMs = performance.now() - this.#lookedAgainAtMs;
    // While a rebalance drags on topics may be found gone again and again.
    this.#looks = calmMs > 2 * LOOK_AGAIN.maximumMs ? 1 : this.#looks + 1;
    try {
      await this.#membership.refreshTopics().catch(ignore);
      await sleep(backoffMs(LOOK_AGAIN, this.#looks), this.closing.signal);
    } finally {
      this.#isLookingAgain = false;
      this.#lookedAgainAtMs = performance.now();
    }
    this.stream.revive();
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
      this.stream.throwFailure();
    } catch (error) {
      if (this.closing.signal.aborted) this.stream.throwFailure();
      else await this.#endWith(error);
      throw error;
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

  /** It could not start: nothing of it stays behind. */
  async #endWith(error: unknown): Promise<void> {
    this.stream.fail(error);
    this.#assignment.abandon();
    await this.close().catch(ignore);
    this.stream.throwFailure();
  }

  async #leaveAfter(closed: Promise<void>): Promise<void> {
    try {
      await closed;
    } finally {
      await this.#membership.leave({ leave: true });
    }
  }

  async #close(leave: boolean | undefined): Promise<void> {
    const { closeTimeoutMs, onClosed } = this.#context;
    const deadlineMs = performance.now() + closeTimeoutMs;
    clearInterval(this.#committing);
    this.end('The consumer was closed');
    const givenUp = this.#assignment.close();
    await settledWithin(givenUp.catch(ignore), closeTimeoutMs);
    this.#left = true;
    const leftMs = Math.max(deadlineMs - performance.now(), MIN_LEAVE_MS);
    await settledWithin(this.#membership.leave({ leave }), leftMs);
    onClosed(this);
    // What a hook has thrown.
    await Promise.race([givenUp, Promise.resolve()]);
  }
}
