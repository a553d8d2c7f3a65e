import type { CommitRow } from '../../../../broker/src/groups/group-store.js';

/** What must hold of a group, whatever its members, its store and its broker do. */
export class GroupInvariants {
  /** The latest generation whose assignments somebody was told. */
  #told = 0;
  readonly #owners = new Map<string, string>();
  readonly #committed = new Map<number, number>();
  /** What did not hold. Kept, because it is often noticed where nobody would hear of an error. */
  readonly #violations: string[] = [];
  rebalances = 0;
  commits = 0;
  refusedIntruders = 0;

  /** A generation never comes before one that was in force, also not after a restart. */
  sawGeneration(generation: number): void {
    if (generation >= this.#told) return;
    this.violated(`generation ${generation} after ${this.#told}`);
  }

  /** @param owner the member, or the instance id of a static one, whose processes change. */
  sawAssignment(generation: number, owner: string, partitions: readonly number[]): void {
    this.sawGeneration(generation);
    if (generation > this.#told) this.rebalances += 1;
    this.#told = Math.max(this.#told, generation);
    for (const partition of partitions) {
      const key = `${generation}/${partition}`;
      const before = this.#owners.get(key) ?? owner;
      this.#owners.set(key, owner);
      if (before === owner) continue;
      this.violated(`generation ${generation}: partition ${partition}: ${before} and ${owner}`);
    }
  }

  /** undefined: nobody, or nobody was told yet. */
  ownerOf(generation: number, partition: number): string | undefined {
    return this.#owners.get(`${generation}/${partition}`);
  }

  /** Consumers only go on, so what they have committed does too. */
  sawCommitted(rows: readonly CommitRow[]): void {
    for (const { partition, offset } of rows) {
      const before = this.#committed.get(partition) ?? 0;
      if (offset < before) {
        this.violated(`partition ${partition} went from ${before} to ${offset}`);
      }
      this.#committed.set(partition, offset);
      this.commits += 1;
    }
  }

  /** @param error NONE: it was taken. */
  sawIntruder(what: string, error: string): void {
    if (error === 'NONE') this.violated(what);
    else this.refusedIntruders += 1;
  }

  violated(what: string): void {
    this.#violations.push(what);
  }

  check(): void {
    if (this.#violations.length > 0) throw new Error(this.#violations.join('; '));
  }
}
