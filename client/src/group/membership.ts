import { leaveGroupApi } from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { ClosedError, MillraceError, toMillraceError } from '../errors.js';
import type { Address } from '../net/address.js';
import { abortReason, onAbort, throwIfAborted } from '../util/abort.js';
import { Deferred, settledWithin } from '../util/async.js';
import { quoted } from '../util/text.js';
import { CoordinatorConnection } from './coordinator-connection.js';
import { CoordinatorSearch } from './coordinator-search.js';
import { finalError, tookTooLong } from './group-errors.js';
import { GroupOffsets } from './group-offsets.js';
import type { HeartbeatFinding } from './heartbeat-messages.js';
import { KeepAlive } from './keep-alive.js';
import { resolveMembershipOptions, type ResolvedMembershipOptions } from './options.js';
import { Ownership } from './ownership.js';
import { RebalanceLoop } from './rebalance-loop.js';
import { Subscription } from './subscription.js';
import { TopicWatch } from './topic-watch.js';
import type {
  CommitRow,
  CommittedPosition,
  LeaveOptions,
  MembershipListener,
  MembershipOptions,
  TopicPartition,
} from './types.js';

export type * from './types.js';

/** Longest wait for the answer to a leave. */
const LEAVE_WITHIN_MS = 2_000;
/** How often a member looks for topics that its pattern matches, in metadata of all topics. */
const PATTERN_LOOK_MS = 10_000;
/** How often it looks at the topics of its list: whether they have other partitions. */
const LIST_LOOK_MS = 30_000;

/**
 * One member of a consumer group (Kafka's classic protocol): joins, keeps its place by heartbeats
 * from a thread of its own, joins again whenever the group rebalances, commits, and leaves.
 *
 * With cooperative assignors (the default) it keeps reading through rebalances and gives up only
 * what moves; with one eager assignor among `assignors` it gives everything up before it rejoins.
 */
export class Membership {
  readonly #options: ResolvedMembershipOptions;
  readonly #listener: MembershipListener;
  readonly #coordinator: CoordinatorConnection;
  /** Heartbeats go to the coordinator that it finds. */
  readonly #search: CoordinatorSearch;
  readonly #ownership: Ownership;
  readonly #subscription: Subscription;
  readonly #loop: RebalanceLoop;
  readonly #offsets: GroupOffsets;
  readonly #watch: TopicWatch;
  readonly #keepAlive: KeepAlive;
  /** Aborted when it is over: left, failed, or the signal. */
  readonly #over = new AbortController();
  readonly #limits: CallLimits = { signal: this.#over.signal, retryForMs: Infinity };
  readonly #started = new Deferred<undefined>();
  #phase: 'new' | 'starting' | 'started' = 'new';
  /** False once the coordinator does not count on this member any more. */
  #isMember = true;
  #ending: Promise<void> | undefined;

  /** @throws InvalidArgumentError that names the option and what it takes */
  constructor(cluster: Cluster, options: MembershipOptions, listener: MembershipListener) {
    this.#options = resolveMembershipOptions(options);
    this.#listener = listener;
    const { group, groupInstanceId, topics, signal } = this.#options;
    this.#coordinator = new CoordinatorConnection(cluster, group);
    this.#search = new CoordinatorSearch(cluster, this.#coordinator, group, (address) => {
      if (this.generation >= 0) this.#keepAlive.beat(this.memberId, this.generation, address);
    });
    this.#subscription = new Subscription(cluster, topics);
    this.#ownership = new Ownership(listener, {
      onFreed: () => this.#loop.rejoin('partitions were given up for others'),
      onError: (error) => this.#fail(toMillraceError(error)),
    });
    this.#loop = new RebalanceLoop({
      cluster,
      options: this.#options,
      coordinator: this.#coordinator,
      ownership: this.#ownership,
      subscription: this.#subscription,
      signal: this.#over.signal,
      onOut: () => this.#keepAlive.hush(),
      onAssigned: (coordinator, told) => this.#onAssigned(coordinator, told),
    });
    this.#watch = new TopicWatch(cluster, this.#subscription, {
      limits: this.#limits,
      lastRebalance: () => this.#loop.last,
      onExisting: (partitions) => void this.#ownership.assign(partitions),
      onChanged: (reason) => this.#loop.rejoin(reason),
    });
    this.#offsets = new GroupOffsets(cluster, this.#coordinator, {
      ...{ group, groupInstanceId },
      identity: () => ({ memberId: this.memberId, generation: this.generation }),
      tenureOf: (partition) => this.#ownership.tenureOf(partition),
      roundOver: () => this.#loop.roundOver,
      onRefused: (error) => this.#onRefused(error),
    });
    this.#keepAlive = new KeepAlive(cluster, this.#options, (found) => this.#onFinding(found));
    if (signal === undefined) return;
    const stop = (): void => this.#over.abort(abortReason(signal));
    if (signal.aborted) stop();
    else onAbort(this.#over.signal, onAbort(signal, stop));
  }

  /** What this member owns now, what it is giving up included. */
  get owned(): readonly TopicPartition[] {
    return this.#ownership.owned;
  }

  /** Empty before the first join. */
  get memberId(): string {
    return this.#loop.memberId;
  }

  /** -1 while it has none. */
  get generation(): number {
    return this.#loop.generation;
  }

  /**
   * Joins the group; resolves with the first assignment, when `onAssigned` has resolved. What may
   * pass, such as a broker that is not there, is retried for as long as it takes.
   *
   * @throws UnknownTopicError and other final errors (`onFailed` is not called then); the signal's
   *   reason
   */
  start(): Promise<void> {
    if (this.#phase === 'new') {
      this.#phase = 'starting';
      this.#run().catch((error: unknown) => this.#onEnded(error));
    }
    return this.#started.promise;
  }

  /**
   * Stores positions, as durable as `acks=all`. What may pass is retried for `requestTimeoutMs`;
   * in a rebalance it waits for its end.
   *
   * @throws RebalanceError when a partition is not this member's any more; FencedInstanceError;
   *   UnknownTopicError when the topic was deleted; BrokerError, ConnectionError
   */
  commit(rows: readonly CommitRow[]): Promise<void> {
    return this.#offsets.commit(rows);
  }

  /**
   * Committed positions in the order asked for; undefined where none is. What may pass is retried
   * until this membership is over.
   */
  fetchOffsets(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (CommittedPosition | undefined)[]> {
    return this.#offsets.fetch(partitions, this.#over.signal);
  }

  /** The application has taken a message and handles it: `maxPollIntervalMs` counts from now. */
  handling(): void {
    this.#keepAlive.handling();
  }

  /** The application waits for the next message: nothing counts. */
  idle(): void {
    this.#keepAlive.idle();
  }

  /** A hook of the application runs, which counts for `maxPollIntervalMs` as a message does. */
  busyWith(hook: string): void {
    this.#keepAlive.busyWith(hook);
  }

  doneWith(): void {
    this.#keepAlive.doneWith();
  }

  /**
   * Looks whether topics came, went, grew or were made anew, as it does every few seconds.
   * For whoever finds out before: a fetch that is told that its topic does not exist.
   */
  async refreshTopics(): Promise<void> {
    if (this.#phase === 'started' && !this.#over.signal.aborted) await this.#watch.refresh();
  }

  /**
   * Leaves, so that the next member takes over at once. The listener is told nothing more: what is
   * to be committed must be so before. A static member does not leave (KIP-345, as in Kafka)
   * unless told to: it is expected back within its session, and only then do others get its
   * partitions. Ends within a few seconds even when no broker is there. Idempotent.
   */
  leave({ leave }: LeaveOptions = {}): Promise<void> {
    const reason = new ClosedError('The consumer was closed');
    this.#ending ??= this.#end(reason, leave);
    // It may have ended before without leaving.
    return leave === true ? this.#ending.then(() => this.#leaveGroup(reason)) : this.#ending;
  }

  /** Ends by throwing the reason that ended everything, or an error that does so. */
  async #run(): Promise<never> {
    throwIfAborted(this.#over.signal);
    this.#coordinator.prepare();
    const [unknown] = await this.#subscription.refresh(this.#limits);
    if (unknown !== undefined) throw unknown;
    const { metadataMaxAgeMs, topics } = this.#options;
    const lookMs = topics instanceof RegExp ? PATTERN_LOOK_MS : LIST_LOOK_MS;
    this.#watch.start(Math.min(lookMs, metadataMaxAgeMs));
    this.#loop.rejoin('it is new');
    return this.#loop.run();
  }

  #onEnded(error: unknown): void {
    if (this.#over.signal.aborted) this.#started.reject(error);
    else this.#fail(toMillraceError(error));
  }

  #onAssigned(coordinator: Address, told: Promise<void>): void {
    this.#keepAlive.beat(this.memberId, this.generation, coordinator);
    if (this.#phase !== 'starting') return;
    void told.then(() => {
      if (this.#over.signal.aborted) return;
      this.#phase = 'started';
      this.#started.resolve(undefined);
    });
  }

  #onFinding(found: HeartbeatFinding): void {
    const { memberId, generation } = found;
    const isSame = memberId === this.memberId;
    // It has left by itself, under the id that it knew.
    if (found.type === 'stuck') {
      const hook = found.busyWith === 'hook' ? this.#keepAlive.hook : undefined;
      this.#fail(tookTooLong(this.#options, hook), !isSame);
    }
    if (isSame && found.type === 'unreachable') this.#search.begin(this.#limits);
    else if (isSame && found.type === 'refused' && generation === this.generation) {
      const message = `heartbeat of group ${quoted(this.#options.group)}: ${found.message}`;
      this.#onRefused(new MillraceError(found.error, message, false));
    }
  }

  /** A heartbeat or commit was refused. A round that is under way finds out what it means. */
  #onRefused(error: MillraceError): void {
    if (error.code === 'FENCED_INSTANCE_ID') this.#fail(finalError(error, this.#options), false);
    if (this.#over.signal.aborted || this.#loop.roundOver !== undefined) return;
    if (error.code === 'REBALANCE_IN_PROGRESS') this.#loop.rejoin('the group rebalances');
    else if (this.#loop.loseIfOut(error)) this.#loop.rejoin(error.message);
    else this.#search.begin(this.#limits);
  }

  /** @param isMember whether the group still counts on this member */
  #fail(error: MillraceError, isMember = true): void {
    if (this.#over.signal.aborted) return;
    this.#isMember = isMember;
    this.#ending ??= this.#end(error);
    if (this.#phase === 'started') this.#listener.onFailed(error);
    else this.#started.reject(error);
  }

  /** @param leaves whether to tell the group; by default not of a static member */
  async #end(
    reason: MillraceError,
    leaves = this.#options.groupInstanceId === null,
  ): Promise<void> {
    this.#over.abort(reason);
    this.#watch.stop();
    this.#keepAlive.stop();
    this.#ownership.end();
    if (leaves) await this.#leaveGroup(reason);
    this.#coordinator.release();
  }

  async #leaveGroup(reason: MillraceError): Promise<void> {
    await settledWithin(this.#sayGoodbye(reason.message), LEAVE_WITHIN_MS);
  }

  async #sayGoodbye(reason: string): Promise<void> {
    const { group: groupId, groupInstanceId } = this.#options;
    // Nobody else would ever use an id that is on its way.
    await this.#loop.idDue;
    const { memberId } = this;
    if (memberId === '' || !this.#isMember) return;
    this.#isMember = false;
    const members = [{ memberId, groupInstanceId, reason }];
    // Not behind joins that wait. Should it overtake one of its own, that is refused.
    await this.#coordinator.request('admin', leaveGroupApi, { groupId, members });
  }
}
