import type { CallLimits, Cluster } from '../cluster.js';
import { ignore } from '../util/async.js';
import type { NamedPartition } from './assignors/index.js';
import { lookUp, withTopicIds, type Subscription } from './subscription.js';
import type { TopicPartition } from './types.js';

/** What the last rebalance brought. */
export interface LastRebalance {
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
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(cluster: Cluster, subscription: Subscription, context: TopicWatchContext) {
    this.#cluster = cluster;
    this.#subscription = subscription;
    this.#context = context;
  }

  start(maxAgeMs: number): void {
    this.#timer = setInterval(() => void this.refresh().catch(ignore), maxAgeMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks now; calls that overlap share one look. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const { limits, lastRebalance, onExisting, onChanged } = this.#context;
    const last = lastRebalance();
    if (last === undefined) return;
    const changed = await this.#refreshSubscription();
    const grown = await this.#countsChanged(last);
    const existing = await withTopicIds(this.#cluster, last.assigned, limits);
    // What a rebalance brought meanwhile is newer.
    if (lastRebalance() !== last) return;
    onExisting(existing);
    if (changed) onChanged('other topics match the pattern now');
    else if (grown) onChanged('topics came or went, or have other partitions now');
  }

  /** @returns whether a pattern matches other topics than before. */
  async #refreshSubscription(): Promise<boolean> {
    const { missing, changed } = await this.#subscription.refresh(this.#context.limits);
    const known = new Set(this.#missing);
    this.#missing.clear();
    for (const error of missing) {
      const topic = error.topic ?? '';
      this.#missing.add(topic);
      if (!known.has(topic)) this.#cluster.onEvent({ type: 'warning', error });
    }
    return changed;
  }

  /** Only the leader can tell, for only it knows what all members want. */
  async #countsChanged({ counts }: LastRebalance): Promise<boolean> {
    if (counts === undefined) return false;
    const { routes } = await lookUp(this.#cluster, counts.keys(), this.#context.limits);
    return [...counts].some(
      ([topic, count]) => count !== (routes.get(topic)?.partitions.length ?? 0),
    );
  }
}
