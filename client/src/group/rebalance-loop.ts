import type { CallLimits, Cluster } from '../cluster.js';
import { toMillraceError, type MillraceError } from '../errors.js';
import type { Address } from '../net/address.js';
import { throwIfAborted } from '../util/abort.js';
import { Deferred, ignore, raceAbort, sleep } from '../util/async.js';
import { backoffMs } from '../util/backoff.js';
import { quoted } from '../util/text.js';
import { doubtsCoordinator, type CoordinatorConnection } from './coordinator-connection.js';
import { finalError } from './group-errors.js';
import { JoinRound, type RoundResult } from './join-round.js';
import type { ResolvedMembershipOptions } from './options.js';
import type { Ownership } from './ownership.js';
import { sameTopics, withTopicIds, type Subscription } from './subscription.js';
import { OTHER_TOPICS, type LastRebalance } from './topic-watch.js';

const NOTHING: LastRebalance = { topics: [], assigned: [], counts: undefined };

/** What the loop works with, and tells. */
export interface RebalanceLoopContext {
  readonly cluster: Cluster;
  readonly options: ResolvedMembershipOptions;
  readonly coordinator: CoordinatorConnection;
  readonly ownership: Ownership;
  readonly subscription: Subscription;
  /** Ends the loop, and with it what it waits for. */
  readonly signal: AbortSignal;
  /** This member is none any more. */
  readonly onOut: () => void;
  /** There is an assignment; `told` resolves when the listener knows it. */
  readonly onAssigned: (coordinator: Address, told: Promise<void>) => void;
}

/**
 * Joins the group again and again: whenever somebody asks for it, and until it worked. Knows who
 * this member is at present.
 */
export class RebalanceLoop {
  readonly #context: RebalanceLoopContext;
  readonly #limits: CallLimits;
  readonly #round: JoinRound;
  #memberId = '';
  #generation = -1;
  #last: LastRebalance = NOTHING;
  /** Why to join (again); undefined: no need. */
  #reason: string | undefined;
  #wake: Deferred<undefined> | undefined;
  #roundOver: Deferred<undefined> | undefined;
  /** An eager member gives up what it has: a round is about to begin. */
  #givesUp = false;
  #idDue: Promise<unknown> = Promise.resolve();

  constructor(context: RebalanceLoopContext) {
    this.#context = context;
    const { cluster, coordinator, options, signal } = context;
    this.#limits = { signal, retryForMs: Infinity };
    this.#round = new JoinRound(cluster, coordinator, options);
  }

  /** Empty before the first join. */
  get memberId(): string {
    return this.#memberId;
  }

  /** -1 while there is none. */
  get generation(): number {
    return this.#generation;
  }

  /** What the last rebalance brought; undefined from when the next one takes that away until it ends. */
  get last(): LastRebalance | undefined {
    return this.#givesUp || this.#roundOver !== undefined ? undefined : this.#last;
  }

  /** From a join to the next assignment, however many attempts that takes. */
  get roundOver(): Promise<unknown> | undefined {
    return this.#roundOver?.promise;
  }

  /** Resolves when no join is under way that was sent without an id, and may bring one. */
  get idDue(): Promise<unknown> {
    return this.#idDue;
  }

  /** Joins soon; once for all that asks meanwhile. */
  rejoin(reason: string): void {
    this.#reason ??= reason;
    this.#wake?.resolve(undefined);
    this.#wake = undefined;
  }

  /** @returns whether the error says that this member is none (of this generation) any more. */
  loseIfOut({ code }: MillraceError): boolean {
    if (code !== 'UNKNOWN_MEMBER_ID' && code !== 'ILLEGAL_GENERATION') return false;
    if (code === 'UNKNOWN_MEMBER_ID') this.#memberId = '';
    this.#generation = -1;
    this.#last = NOTHING;
    this.#context.onOut();
    this.#context.ownership.lose();
    return true;
  }

  /** @throws the signal's reason; an error that is final. */
  async run(): Promise<never> {
    const { signal } = this.#context;
    for (let failures = 0; ;) {
      throwIfAborted(signal);
      if (this.#reason === undefined) {
        this.#wake ??= new Deferred();
        await raceAbort(this.#wake.promise, signal);
        continue;
      }
      const error = await this.#attempt(this.#reason);
      failures = error === undefined ? 0 : failures + 1;
      if (error !== undefined) await this.#backOff(error, failures);
    }
  }

  /** @returns the error when it is to be tried again, else throws it. */
  async #attempt(reason: string): Promise<MillraceError | undefined> {
    const { options, ownership, coordinator, subscription, signal } = this.#context;
    try {
      // Cooperative members give up what moves when they know what that is.
      const isEager = options.assignors.some(({ cooperative }) => !cooperative);
      this.#givesUp = isEager;
      if (isEager) await raceAbort(ownership.revokeAll(), signal);
      // Whatever else asked for a join while it gave up: this is the one.
      this.#reason = undefined;
      this.#roundOver ??= new Deferred();
      this.#givesUp = false;
      this.#announce('joining', reason);
      const { topics } = subscription;
      await this.#settle(await raceAbort(this.#join(topics), signal), topics, reason);
      return undefined;
    } catch (thrown) {
      throwIfAborted(signal);
      const error = toMillraceError(thrown);
      this.#reason ??= reason;
      if (this.loseIfOut(error) || error.code === 'REBALANCE_IN_PROGRESS') return error;
      if (doubtsCoordinator(error)) coordinator.forget();
      if (error.retriable) return error;
      throw finalError(error, options);
    }
  }

  #join(topics: readonly string[]): Promise<RoundResult> {
    const joiner = {
      ...{ memberId: this.#memberId, topics },
      owned: this.#context.ownership.claim(),
      previous: this.#last.assigned,
      generation: this.#generation,
    };
    const answered = new Deferred<undefined>();
    const remember = (memberId: string): void => {
      this.#memberId = memberId;
      answered.resolve(undefined);
    };
    const round = this.#round.run(joiner, remember, this.#limits);
    if (joiner.memberId === '') this.#idDue = Promise.race([answered.promise, round.catch(ignore)]);
    return round;
  }

  /** @param topics those that it joined with */
  async #settle(result: RoundResult, topics: readonly string[], reason: string): Promise<void> {
    const { cluster, coordinator, ownership, subscription, signal, onAssigned } = this.#context;
    const { memberId, generation, assigned, counts, outdated } = result;
    const partitions = await withTopicIds(cluster, assigned, this.#limits);
    const address = await coordinator.address();
    throwIfAborted(signal);
    this.#memberId = memberId;
    this.#generation = generation;
    this.#last = { topics, assigned, counts };
    const told = ownership.assign(partitions);
    this.#announce('assigned', reason);
    this.#roundOver?.resolve(undefined);
    this.#roundOver = undefined;
    onAssigned(address, told);
    // A look at the topics that ended during the round could not tell.
    if (!sameTopics(topics, subscription.topics)) this.rejoin(OTHER_TOPICS);
    else if (outdated) this.rejoin('topics changed while this leader was away');
  }

  /** The first time at once: nothing failed, the group has only moved on. */
  async #backOff(error: MillraceError, failures: number): Promise<void> {
    if (failures === 1 && !error.retriable) return;
    const { cluster, options, signal } = this.#context;
    const delayMs = backoffMs(cluster.retryBackoff, failures);
    const action = `join group ${quoted(options.group)}`;
    cluster.onEvent({ type: 'retry', action, attempt: failures, delayMs, error });
    await sleep(delayMs, signal);
  }

  #announce(phase: 'joining' | 'assigned', reason: string): void {
    const { cluster, options, ownership } = this.#context;
    const memberId = this.#memberId;
    const generation = this.#generation;
    const partitions = ownership.size;
    const event = { group: options.group, memberId, phase, reason, generation, partitions };
    cluster.onEvent({ type: 'rebalance', ...event });
  }
}
