import { ProtocolError } from '@millrace/protocol';
import type { CoordinatorServices } from './coordinator-services.js';
import { Group } from './group.js';
import { GroupMemory } from './group-memory.js';
import type { StoredGroup } from './group-store.js';

/**
 * The groups by id. A group that only ever had offsets committed to it (by a tool, or a consumer
 * that assigns its partitions itself) is in the store alone and has no object here.
 */
export class GroupTable {
  /** What the members of all groups take. */
  readonly memory: GroupMemory;
  readonly #groups = new Map<string, Group>();
  /** Groups that are in the store alone: the store tells what changes there. */
  #storedOnlyCount = 0;

  constructor(private readonly services: Pick<CoordinatorServices, 'clock' | 'config' | 'store'>) {
    const { config, store } = services;
    this.memory = new GroupMemory(config.maxGroupMemoryBytes);
    this.#storedOnlyCount = [...store.groupIds()].length;
    store.watchGroups({
      appeared: (groupId) => {
        if (!this.#groups.has(groupId)) this.#storedOnlyCount += 1;
      },
      disappeared: (groupId) => {
        if (!this.#groups.has(groupId)) this.#storedOnlyCount -= 1;
      },
    });
  }

  get(groupId: string): Group | undefined {
    return this.#groups.get(groupId);
  }

  /** The group as it was stored; it is there from now on. */
  restore(stored: StoredGroup): Group {
    const group = Group.restored(stored, this.memory);
    this.#put(group);
    return group;
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
    const group = new Group(groupId, this.services.clock.nowMs(), this.memory);
    this.#put(group);
    return group;
  }

  /** Lets go of a group that nothing is to be known of; its offsets stay in the store. */
  release(group: Group): void {
    if (group.unused) this.remove(group);
  }

  remove(group: Group): void {
    const { groupId } = group;
    if (this.#groups.get(groupId) !== group) return;
    this.#groups.delete(groupId);
    if (this.services.store.hasOffsets(groupId)) this.#storedOnlyCount += 1;
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

  /** How many {@link storedOnly} gives. */
  get storedOnlyCount(): number {
    return this.#storedOnlyCount;
  }

  get size(): number {
    return this.#groups.size + this.#storedOnlyCount;
  }

  #put(group: Group): void {
    const { groupId } = group;
    const isNew = !this.#groups.has(groupId);
    this.#groups.set(groupId, group);
    if (isNew && this.services.store.hasOffsets(groupId)) this.#storedOnlyCount -= 1;
  }

  #requireRoom(): void {
    const { maxGroups } = this.services.config;
    if (this.size < maxGroups) return;
    throw new ProtocolError(
      'LIMIT_EXCEEDED',
      `this broker has its maxGroups of ${maxGroups}; delete groups that nobody needs any more`,
    );
  }
}
