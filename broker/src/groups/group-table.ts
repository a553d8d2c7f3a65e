import { ProtocolError } from '@millrace/protocol';
import type { CoordinatorServices } from './coordinator-services.js';
import { Group } from './group.js';

/**
 * The groups by id. A group that only ever had offsets committed to it (by a tool, or a consumer
 * that assigns its partitions itself) is in the store alone and has no object here.
 */
export class GroupTable {
  readonly #groups = new Map<string, Group>();
  /** No fewer than the groups that are in the store alone. */
  #storedOnlyAtMost = Infinity;
  /** {@link #storedOnlyAtMost} is the very number. */
  #counted = false;

  constructor(private readonly services: Pick<CoordinatorServices, 'clock' | 'config' | 'store'>) {}

  get(groupId: string): Group | undefined {
    return this.#groups.get(groupId);
  }

  put(group: Group): void {
    this.#groups.set(group.groupId, group);
  }

  /** Whether there is such a group, be it only its offsets. */
  exists(groupId: string): boolean {
    return this.#groups.has(groupId) || this.services.store.hasOffsets(groupId);
  }

  /**
   * The group, made if need be.
   *
   * @throws ProtocolError LIMIT_EXCEEDED
   */
  obtain(groupId: string): Group {
    const known = this.#groups.get(groupId);
    if (known !== undefined) return known;
    if (!this.services.store.hasOffsets(groupId)) this.#requireRoom();
    const group = new Group(groupId, this.services.clock.nowMs());
    this.#groups.set(groupId, group);
    return group;
  }

  /** Lets go of a group that nothing is to be known of; its offsets stay in the store. */
  release(group: Group): void {
    if (!group.unused || this.#groups.get(group.groupId) !== group) return;
    this.remove(group);
    this.#storedOnlyAtMost += 1;
  }

  remove(group: Group): void {
    if (this.#groups.get(group.groupId) !== group) return;
    this.#groups.delete(group.groupId);
    this.#counted = false;
  }

  /** Groups may have gone from the store. */
  recount(): void {
    this.#counted = false;
  }

  values(): Iterable<Group> {
    return this.#groups.values();
  }

  /** Groups that are in the store alone. */
  *storedOnly(): Iterable<string> {
    for (const groupId of this.services.store.groupIds()) {
      if (!this.#groups.has(groupId)) yield groupId;
    }
  }

  get size(): number {
    return this.#groups.size + [...this.storedOnly()].length;
  }

  /**
   * Counts only when it could matter and something has changed: that takes a look at each group.
   */
  #requireRoom(): void {
    const { maxGroups } = this.services.config;
    if (this.#groups.size + this.#storedOnlyAtMost < maxGroups) return;
    if (!this.#counted) {
      this.#storedOnlyAtMost = this.size - this.#groups.size;
      this.#counted = true;
    }
    if (this.#groups.size + this.#storedOnlyAtMost < maxGroups) return;
    throw new ProtocolError(
      'LIMIT_EXCEEDED',
      `this broker has its maxGroups of ${maxGroups}; delete groups that nobody needs any more`,
    );
  }
}
