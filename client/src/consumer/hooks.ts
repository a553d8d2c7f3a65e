import { InvalidArgumentError } from '../errors.js';
import type { TopicPartition } from '../group/membership.js';

/** What hooks can be told of. */
export type RebalanceEvent = 'assigned' | 'revoked' | 'lost';

/** Called with partitions that come or go; what it returns is awaited. */
export type RebalanceHook = (partitions: readonly TopicPartition[]) => unknown;

/** The application's say in rebalances. */
export class RebalanceHooks {
  readonly #hooks: Readonly<Record<RebalanceEvent, Set<RebalanceHook>>> = {
    assigned: new Set(),
    revoked: new Set(),
    lost: new Set(),
  };

  /**
   * @returns the way to stop.
   * @throws InvalidArgumentError for an event that there is not.
   */
  on(event: RebalanceEvent, hook: RebalanceHook): () => void {
    if (!Object.hasOwn(this.#hooks, event)) {
      const known = Object.keys(this.#hooks).join(', ');
      throw new InvalidArgumentError(`There is no event "${event}"; there are ${known}`);
    }
    if (typeof hook !== 'function') {
      throw new InvalidArgumentError(`What is called on "${event}" must be a function`);
    }
    // An object of its own, so that the same function may be given twice and taken back once.
    const own: RebalanceHook = (partitions) => hook(partitions);
    this.#hooks[event].add(own);
    return () => void this.#hooks[event].delete(own);
  }

  has(event: RebalanceEvent): boolean {
    return this.#hooks[event].size > 0;
  }

  /**
   * Runs the hooks one after the other, all of them.
   *
   * @throws what the first of those that failed has thrown.
   */
  async run(event: RebalanceEvent, partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return;
    let failure: { readonly error: unknown } | undefined;
    for (const hook of [...this.#hooks[event]]) {
      try {
        await hook(partitions);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}
