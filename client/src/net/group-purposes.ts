/** A connection for requests that may wait for other members; there are several of them. */
export type GroupPurpose = 'group' | `group-${number}`;

/**
 * Members of groups that share one connection. Each has a join or a sync under way at most, and a
 * broker reads no more requests of a connection that has 256 (its default) under way.
 */
export const MAX_MEMBERS_PER_CONNECTION = 100;

/** Shares out the members of groups among connections. */
export class GroupPurposes {
  readonly #members: number[] = [];

  /** For one member more, on the first connection that has room. */
  take(): GroupPurpose {
    const room = this.#members.findIndex((count) => count < MAX_MEMBERS_PER_CONNECTION);
    const index = room === -1 ? this.#members.length : room;
    this.#members[index] = (this.#members[index] ?? 0) + 1;
    return index === 0 ? 'group' : `group-${index + 1}`;
  }

  /** A member is gone. Once for each {@link take}. */
  release(purpose: GroupPurpose): void {
    const index = purpose === 'group' ? 0 : Number(purpose.slice('group-'.length)) - 1;
    this.#members[index] = Math.max(0, (this.#members[index] ?? 0) - 1);
  }
}
