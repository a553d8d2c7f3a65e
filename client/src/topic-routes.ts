/** A partition as metadata shows it. */
export interface PartitionRoute {
  /** Node id of the leader; -1 while there is none. */
  readonly leader: number;
  readonly leaderEpoch: number;
}

/** A topic as metadata shows it; partition numbers are the indexes. */
export interface TopicRoute {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: readonly PartitionRoute[];
}

/** Told of every topic that metadata shows, whether it is news or not. */
export type RouteListener = (route: TopicRoute) => void;

/** How long after a background refresh was asked for another one may be, in milliseconds. */
const REFRESH_PAUSE_MS = 5_000;

interface Entry {
  readonly route: TopicRoute;
  /** Too old after this (`performance.now()`). */
  readonly oldAtMs: number;
  /** No background refresh before this. */
  refreshAtMs: number;
}

/**
 * What metadata has shown of topics. An entry that is too old still serves those who are in the
 * middle of their work, and asks for a refresh in the background: only so are added partitions
 * found, about which no error ever tells.
 */
export class TopicRoutes {
  readonly #maxAgeMs: number;
  readonly #refresh: (name: string) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<RouteListener>();

  /** @param refresh asks for the topic again, in the background */
  constructor(maxAgeMs: number, refresh: (name: string) => void) {
    this.#maxAgeMs = maxAgeMs;
    this.#refresh = refresh;
  }

  /** The topic as it is known, also when that is old. */
  peek(name: string): TopicRoute | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    const nowMs = performance.now();
    if (nowMs >= entry.refreshAtMs) {
      entry.refreshAtMs = nowMs + Math.min(this.#maxAgeMs, REFRESH_PAUSE_MS);
      this.#refresh(name);
    }
    return entry.route;
  }

  /** The topic as it is known, for who has just asked for it. */
  get(name: string): TopicRoute | undefined {
    return this.#entries.get(name)?.route;
  }

  /** The topic, unless what is known is too old. */
  fresh(name: string): TopicRoute | undefined {
    const entry = this.#entries.get(name);
    return entry !== undefined && performance.now() < entry.oldAtMs ? entry.route : undefined;
  }

  learn(route: TopicRoute): void {
    const oldAtMs = performance.now() + this.#maxAgeMs;
    this.#entries.set(route.name, { route, oldAtMs, refreshAtMs: oldAtMs });
    for (const listener of this.#listeners) listener(route);
  }

  forget(name: string): void {
    this.#entries.delete(name);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Calls back with every topic that is learned from now on; returns the way to stop. */
  onLearned(listener: RouteListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
