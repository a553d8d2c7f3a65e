import type { CallLimits, Cluster } from '../cluster.js';
import { ignore } from '../util/async.js';
import type { NamedPartition } from './assignors/index.js';
import { lookUp, sameTopics, withTopicIds, type Subscription } from './subscription.js';
import type { TopicPartition } from './types.js';

/** Why to join again when a pattern matches others than the last join told. */
export const OTHER_TOPICS = 'other topics match the pattern now';

/** How soon after a look the next one is, while topics are missing that may come back. */
const CLOSE_LOOK_MS = 2_000;
/** How long that goes on for what a pattern matched; topics of a list are awaited for ever. */
const AWAIT_GONE_MS = 60_000;

/** What the last rebalance brought. */
export interface LastRebalance {
  /** What the join told as subscribed to. */
  readonly topics: readonly string[];
  readonly assigned: readonly NamedPartition[];
  /** What the leader counted: partitions of the topics of all members; undefined for others. */
  readonly counts: ReadonlyMap<string, number> | undefined;
}

/** What a watch needs of its member, and tells it. */
export interface TopicWatchContext {
  readonly limits: CallLimits;
  /** Undefined while there is none, or another is under way. */
  readonly lastRebalance: () => LastRebalance | undefined;
  /** What still exists of what was assigned. */
  readonly onExisting: (partitions: readonly TopicPartition[]) => void;
  /** The group must share out anew. */
  readonly onChanged: (reason: string) => void;
}

/** Looks from time to time whether topics came, went, grew, or were made anew. */
export class TopicWatch {
  readonly #cluster: Cluster;
  readonly #subscription: Subscription;
  readonly #context: TopicWatchContext;
  readonly #missing = new Set<string>();
  #maxAgeMs = Infinity;
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  /** Until when to look closely (`performance.now()`). */
  #closeUntilMs = 0;

  constructor(cluster: Cluster, subscription: Subscription, context: TopicWatchContext) {
    this.#cluster = cluster;
    this.#subscription = subscription;
    this.#context = context;
  }

  start(maxAgeMs: number): void {
    this.#maxAgeMs = maxAgeMs;
    this.#schedule();
  }

  stop(): void {
    this.#maxAgeMs = Infinity;
    clearTimeout(this.#timer);
  }

  /** Looks now; calls that overlap share one look. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
      this.#schedule();
    });
    return this.#refreshing;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#maxAgeMs === Infinity) return;
    const isClose = this.#missing.size > 0 || performance.now() < this.#closeUntilMs;
    const delayMs = isClose ? Math.min(CLOSE_LOOK_MS, this.#maxAgeMs) : this.#maxAgeMs;
    this.#timer = setTimeout(() => void this.refresh().catch(ignore), delayMs).unref();
  }

  async #refresh(): Promise<void> {
    const { limits, lastRebalance, onExisting, onChanged } = this.#context;
    const last = lastRebalance();
    if (last === undefined) {
      this.#lookAgainSoon(CLOSE_LOOK_MS);
      return;
    }
    await this.#refreshSubscription();
    const { topics } = this.#subscription;
    if (last.topics.some((topic) => !topics.includes(topic))) this.#lookAgainSoon(AWAIT_GONE_MS);
    const grown = await this.#countsChanged(last);
    const existing = await withTopicIds(this.#cluster, last.assigned, limits);
    const now = lastRebalance();
    // The end of the round that is under way compares what it told.
    if (now === undefined) return;
    // What a rebalance brought meanwhile is newer.
    if (now === last) onExisting(existing);
    if (!sameTopics(now.topics, topics)) onChanged(OTHER_TOPICS);
    else if (now === last && grown) onChanged('topics came or went, or have other partitions now');
  }

  #lookAgainSoon(forMs: number): void {
    this.#closeUntilMs = Math.max(this.#closeUntilMs, performance.now() + forMs);
  }

  async #refreshSubscription(): Promise<void> {
    const missing = await this.#subscription.refresh(this.#context.limits);
    const known = new Set(this.#missing);
    this.#missing.clear();
    for (const error of missing) {
      const topic = error.topic ?? '';
      this.#missing.add(topic);
      if (!known.has(topic)) this.#cluster.onEvent({ type: 'warning', error });
    }
  }

  /** Only the leader can tell, for only it knows what all members want. */
  async #countsChanged({ counts }: LastRebalance): Promise<boolean> {
    if (counts === undefined) return false;
    const { routes } = await lookUp(this.#cluster, counts.keys(), this.#context.limits);
    const isGone = (topic: string): boolean => !routes.has(topic);
    // Also what only others subscribe to: nobody but the leader looks for it.
    if ([...counts.keys()].some(isGone)) this.#lookAgainSoon(CLOSE_LOOK_MS);
    return [...counts].some(
      ([topic, count]) => count !== (routes.get(topic)?.partitions.length ?? 0),
    );
  }
}
