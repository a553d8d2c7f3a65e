import type { AssignorMember } from './assignor.js';
import { NOBODY, type Claims } from './claims.js';

/** Topics and members by index, so that the search below works on numbers. */
export interface Field {
  readonly members: readonly AssignorMember[];
  readonly topics: readonly string[];
  /** Partitions of each topic. */
  readonly counts: readonly number[];
  /** Members that subscribe to each topic, in order. */
  readonly takers: readonly (readonly number[])[];
}

/**
 * How many partitions of each topic each member gets: as even as the subscriptions allow, and near
 * to what they had. Which ones is another question: partitions of a topic are alike.
 *
 * First everyone keeps what it had, then what is free goes to whoever has least, and at last single
 * partitions are passed on from those who have more to those who have at least two less: directly
 * or over members in between, as in optimal semi-matchings (Harvey, Ladner, Lovász, Tamir 2003).
 * Without such a way left, no other sharing is more even. Shortest ways first: fewest moves.
 */
export class Balance {
  readonly #field: Field;
  /** shares[member].get(topic): how many it gets; only what is not 0. */
  readonly shares: readonly Map<number, number>[];
  readonly #loads: number[];

  constructor(field: Field, claims: Claims) {
    this.#field = field;
    this.shares = field.members.map(() => new Map<number, number>());
    this.#loads = field.members.map(() => 0);
    const free = this.#keep(claims);
    this.#deal(free);
    this.#even();
  }

  #keep(claims: Claims): number[] {
    const { topics, counts, takers } = this.#field;
    return topics.map((name, topic) => {
      const subscribed = new Set(takers[topic]);
      let free = counts[topic] ?? 0;
      for (const owner of claims.get(name) ?? []) {
        if (!subscribed.has(owner)) continue;
        this.#add(owner, topic, 1);
        free -= 1;
      }
      return free;
    });
  }

  /** The topics with the fewest takers first: the others have more choice. */
  #deal(free: readonly number[]): void {
    const { takers } = this.#field;
    const choice = (topic: number): number => takers[topic]?.length ?? 0;
    const order = [...free.keys()].sort((a, b) => choice(a) - choice(b) || a - b);
    for (const topic of order) {
      for (let left = free[topic] ?? 0; left > 0; left -= 1) {
        const taker = this.#leastLoaded(takers[topic] ?? []);
        if (taker !== NOBODY) this.#add(taker, topic, 1);
      }
    }
  }

  #leastLoaded(members: readonly number[]): number {
    let best = NOBODY;
    for (const member of members) {
      if (best === NOBODY || this.#load(member) < this.#load(best)) best = member;
    }
    return best;
  }

  #even(): void {
    /** Members from which nothing can be passed on, neither by them nor over them. */
    const settled = new Set<number>();
    for (;;) {
      let source = NOBODY;
      for (const member of this.#loads.keys()) {
        if (settled.has(member)) continue;
        if (source === NOBODY || this.#load(member) > this.#load(source)) source = member;
      }
      if (source === NOBODY) return;
      const search = this.#search(source, settled);
      if (search.target === NOBODY) for (const member of search.visited) settled.add(member);
      else this.#pass(search);
    }
  }

  /**
   * Breadth first from the member with most: its topics, who else takes them, and so on. All that a
   * search in vain has visited has at most one partition less than the source and leads nowhere
   * else, so no later search needs to enter it.
   */
  #search(source: number, settled: ReadonlySet<number>): Search {
    const { members, takers } = this.#field;
    const limit = this.#load(source) - 2;
    const from = new Map<number, Step>();
    const visited = new Set([source]);
    const seenTopics = new Set<number>();
    let level = [source];
    while (level.length > 0) {
      const next: number[] = [];
      for (const member of level) {
        for (const topic of this.shares[member]?.keys() ?? []) {
          if (visited.size + settled.size === members.length) break;
          if (seenTopics.has(topic)) continue;
          seenTopics.add(topic);
          for (const taker of takers[topic] ?? []) {
            if (visited.has(taker) || settled.has(taker)) continue;
            visited.add(taker);
            from.set(taker, { member, topic });
            next.push(taker);
          }
        }
      }
      const target = this.#leastLoaded(next);
      if (target !== NOBODY && this.#load(target) <= limit) return { target, from, visited };
      level = next;
    }
    return { target: NOBODY, from, visited };
  }

  #pass({ target, from }: Search): void {
    let member = target;
    for (let step = from.get(member); step !== undefined; step = from.get(member)) {
      this.#add(member, step.topic, 1);
      this.#add(step.member, step.topic, -1);
      member = step.member;
    }
  }

  #add(member: number, topic: number, change: 1 | -1): void {
    const share = this.shares[member];
    const count = (share?.get(topic) ?? 0) + change;
    if (count === 0) share?.delete(topic);
    else share?.set(topic, count);
    this.#loads[member] = this.#load(member) + change;
  }

  #load(member: number): number {
    return this.#loads[member] ?? 0;
  }
}

interface Step {
  /** Who passes a partition on. */
  readonly member: number;
  /** Of which topic. */
  readonly topic: number;
}

interface Search {
  /** {@link NOBODY}: the source has nothing to pass on. */
  readonly target: number;
  readonly from: ReadonlyMap<number, Step>;
  readonly visited: ReadonlySet<number>;
}
