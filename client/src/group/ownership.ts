import { partitionKey } from './partitions.js';
import type { MembershipListener, TopicPartition } from './types.js';

/** What an {@link Ownership} tells its membership. */
export interface OwnershipCallbacks {
  /** Something that others wait for was given up: join again, so that they get it. */
  readonly onFreed: () => void;
  /** The listener has thrown. */
  readonly onError: (error: unknown) => void;
}

interface Held {
  readonly partition: TopicPartition;
  /** `onAssigned` has been told: what the listener says of the partition is of this assignment. */
  told: boolean;
  /** `onRevoked` has been told, or is about to be. */
  revoking: boolean;
  /** `onRevoked` has been told. */
  revoked: boolean;
}

type Entry = readonly [string, Held];

/**
 * What a member owns, on the way from one assignment to the next. The listener is told in order,
 * one thing at a time. A listener that takes its time to give something up holds up no rebalance:
 * until it is done the partition is owned, and told as owned in every join.
 */
export class Ownership {
  readonly #listener: MembershipListener;
  readonly #callbacks: OwnershipCallbacks;
  readonly #held = new Map<string, Held>();
  /** What the last assignment says; what is held follows. */
  #assigned = new Map<string, TopicPartition>();
  /** What the last join told as owned. */
  #claimed: readonly string[] = [];
  #everAssigned = false;
  #ended = false;
  #tail: Promise<void> = Promise.resolve();

  constructor(listener: MembershipListener, callbacks: OwnershipCallbacks) {
    this.#listener = listener;
    this.#callbacks = callbacks;
  }

  /** What is being given up included. */
  get owned(): TopicPartition[] {
    return [...this.#held.values()].map(({ partition }) => partition);
  }

  get size(): number {
    return this.#held.size;
  }

  /**
   * Stands for the time from when the listener is told of the partition until it is given up or
   * lost: another object when it comes again. Undefined while there is none.
   */
  tenureOf(partition: TopicPartition): object | undefined {
    const held = this.#held.get(partitionKey(partition));
    return held?.told === true ? held : undefined;
  }

  /** What a join tells as owned. */
  claim(): TopicPartition[] {
    this.#claimed = [...this.#held.keys()];
    return this.owned;
  }

  /** A new assignment. Resolves when the listener has been told of it. */
  assign(partitions: readonly TopicPartition[]): Promise<void> {
    this.#assigned = new Map(partitions.map((partition) => [partitionKey(partition), partition]));
    this.#reconcile(!this.#everAssigned);
    this.#everAssigned = true;
    this.#checkFreed();
    return this.#tail;
  }

  /** Gives everything up. Resolves when the listener has let go. */
  revokeAll(): Promise<void> {
    this.#assigned = new Map();
    this.#reconcile(false);
    return this.#tail;
  }

  /**
   * The group has thrown this member out: nothing is owned from now on. The listener is told at
   * once, for what it still does with its partitions somebody else does already.
   */
  lose(): void {
    const all = [...this.#held.values()];
    this.#held.clear();
    this.#assigned = new Map();
    this.#claimed = [];
    if (all.length === 0 || this.#ended) return;
    try {
      this.#listener.onCutOff(all.map(({ partition }) => partition));
    } catch (error) {
      this.#callbacks.onError(error);
    }
    const lost = all.filter(({ told, revoked }) => told && !revoked);
    if (lost.length === 0) return;
    this.#tell(() => this.#listener.onLost(lost.map(({ partition }) => partition)));
  }

  /** Final: nothing is owned, and the listener is told no more. */
  end(): void {
    this.#ended = true;
    this.#held.clear();
    this.#assigned.clear();
  }

  #reconcile(isFirst: boolean): void {
    const revoked = [...this.#held].filter(
      ([key, { revoking }]) => !revoking && !this.#assigned.has(key),
    );
    if (revoked.length > 0) {
      for (const [, held] of revoked) held.revoking = true;
      this.#tell(
        () => this.#revoke(revoked),
        () => this.#release(revoked),
      );
    }
    const added = [...this.#assigned].filter(([key]) => !this.#held.has(key));
    const state = { told: false, revoking: false, revoked: false };
    const fresh = added.map(([key, partition]) => [key, { partition, ...state }] as const);
    for (const [key, held] of fresh) this.#held.set(key, held);
    if (fresh.length === 0 && !isFirst) return;
    this.#tell(() => this.#give(fresh, isFirst));
  }

  /** Tells of what has not been lost while other callbacks ran. */
  async #give(added: readonly Entry[], isFirst: boolean): Promise<void> {
    const still = this.#stillHeld(added);
    for (const held of still) held.told = true;
    if (still.length === 0 && !isFirst) return;
    await this.#listener.onAssigned(still.map(({ partition }) => partition));
  }

  async #revoke(revoked: readonly Entry[]): Promise<void> {
    const still = this.#stillHeld(revoked);
    for (const held of still) held.revoked = true;
    if (still.length === 0) return;
    await this.#listener.onRevoked(still.map(({ partition }) => partition));
  }

  #stillHeld(entries: readonly Entry[]): Held[] {
    return entries.flatMap(([key, held]) => (this.#held.get(key) === held ? held : []));
  }

  #release(revoked: readonly Entry[]): void {
    for (const [key, held] of revoked) {
      // Not when it was lost and assigned again meanwhile.
      if (this.#held.get(key) === held) this.#held.delete(key);
    }
    // A later assignment may have given it back.
    this.#reconcile(false);
    this.#checkFreed();
  }

  /** What was told as owned and then given up waits for a rebalance to get to somebody else. */
  #checkFreed(): void {
    const isFree = (key: string): boolean => !this.#assigned.has(key) && !this.#held.has(key);
    if (this.#claimed.some(isFree)) this.#callbacks.onFreed();
  }

  #isOver(): boolean {
    return this.#ended;
  }

  #tell(callback: () => Promise<void>, after?: () => void): void {
    this.#tail = this.#tail.then(async () => {
      if (this.#isOver()) return;
      try {
        await callback();
      } catch (error) {
        this.#callbacks.onError(error);
        return;
      }
      if (!this.#isOver()) after?.();
    });
  }
}
