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
  /** `onRevoked` has been told, or is about to be. */
  revoking: boolean;
}

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

  holds(partition: TopicPartition): boolean {
    return this.#held.has(partitionKey(partition));
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

  /** The group has thrown this member out: nothing is owned from now on. */
  lose(): void {
    const lost = [...this.#held.values()].filter(({ revoking }) => !revoking);
    this.#held.clear();
    this.#assigned = new Map();
    this.#claimed = [];
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
        () => this.#listener.onRevoked(revoked.map(([, { partition }]) => partition)),
        () => this.#release(revoked),
      );
    }
    const added = [...this.#assigned].filter(([key]) => !this.#held.has(key));
    for (const [key, partition] of added) this.#held.set(key, { partition, revoking: false });
    if (added.length === 0 && !isFirst) return;
    this.#tell(() => this.#listener.onAssigned(added.map(([, partition]) => partition)));
  }

  #release(revoked: readonly (readonly [string, Held])[]): void {
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
