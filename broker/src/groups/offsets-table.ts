import type { CommitRow, CommittedOffset } from './group-store.js';
import { SlotIndex } from './offsets-slot-index.js';
import { OffsetSlots } from './offsets-slots.js';
import { TextRefs } from './offsets-refs.js';

/** Whose offset a row is, without the group. */
export interface OffsetKey {
  readonly topicId: string;
  readonly partition: number;
}

/** Whose offset a row is. */
export interface GroupOffsetKey extends OffsetKey {
  readonly groupId: string;
}

const NONE = -1;

/**
 * The committed offsets of all groups, in memory. A broker may keep a million of them, so there is no
 * object for each: the numbers lie in typed arrays, a row ("slot") across them, found through one hash
 * table of slot numbers; the slots of a group are a list linked through them. About 60 to 100 bytes a
 * row.
 */
export class OffsetTable {
  readonly #groups = new TextRefs();
  readonly #topics = new TextRefs();
  readonly #slots = new OffsetSlots();
  readonly #index = new SlotIndex(this.#slots);
  /** The first slot of each group, by the group's number. */
  readonly #heads: number[] = [];
  /** Only of slots that have some. */
  readonly #metadata = new Map<number, string>();

  /** How many offsets there are. */
  get size(): number {
    return this.#index.size;
  }

  /** Groups that have offsets. */
  groupIds(): IterableIterator<string> {
    return this.#groups.texts();
  }

  /** Topics that have offsets. */
  topicIds(): IterableIterator<string> {
    return this.#topics.texts();
  }

  hasGroup(groupId: string): boolean {
    return this.#groups.find(groupId) !== NONE;
  }

  set(
    groupId: string,
    topicId: string,
    partition: number,
    { offset, leaderEpoch, commitTimeMs, metadata }: CommittedOffset,
  ): void {
    const slots = this.#slots;
    const group = this.#groups.find(groupId);
    const topic = this.#topics.find(topicId);
    let slot = NONE;
    if (group !== NONE && topic !== NONE) slot = this.#index.find(group, topic, partition);
    if (slot === NONE) {
      const head = group === NONE ? NONE : (this.#heads[group] ?? NONE);
      slot = this.#add(
        this.#groups.take(groupId, group),
        this.#topics.take(topicId, topic),
        partition,
        head,
      );
    }
    slots.offset[slot] = offset;
    slots.leaderEpoch[slot] = leaderEpoch;
    slots.commitTimeMs[slot] = commitTimeMs;
    if (metadata !== null) this.#metadata.set(slot, metadata);
    else if (this.#metadata.size > 0) this.#metadata.delete(slot);
  }

  get(groupId: string, topicId: string, partition: number): CommittedOffset | undefined {
    const slot = this.#find(groupId, topicId, partition);
    return slot === NONE ? undefined : this.#read(slot);
  }

  /** False when there was none. */
  delete(groupId: string, topicId: string, partition: number): boolean {
    const slot = this.#find(groupId, topicId, partition);
    if (slot === NONE) return false;
    const slots = this.#slots;
    this.#index.remove(slot);
    const group = slots.group[slot] ?? NONE;
    const next = slots.next[slot] ?? NONE;
    const previous = slots.previous[slot] ?? NONE;
    if (previous === NONE) this.#heads[group] = next;
    else slots.next[previous] = next;
    if (next !== NONE) slots.previous[next] = previous;
    this.#metadata.delete(slot);
    this.#groups.drop(group);
    this.#topics.drop(slots.topic[slot] ?? NONE);
    slots.release(slot);
    return true;
  }

  /** All offsets of a group, the latest made first. */
  rowsOf(groupId: string): CommitRow[] {
    const rows: CommitRow[] = [];
    const { next, partition, topic } = this.#slots;
    const group = this.#groups.find(groupId);
    let slot = group === NONE ? NONE : (this.#heads[group] ?? NONE);
    while (slot !== NONE) {
      const topicId = this.#topics.textOf(topic[slot] ?? NONE);
      rows.push({ topicId, partition: partition[slot] ?? 0, ...this.#read(slot) });
      slot = next[slot] ?? NONE;
    }
    return rows;
  }

  /** Whose offsets there are of a topic; looks at every slot. */
  keysOfTopic(topicId: string): GroupOffsetKey[] {
    const keys: GroupOffsetKey[] = [];
    const ref = this.#topics.find(topicId);
    if (ref === NONE) return keys;
    const { group, partition, topic, used } = this.#slots;
    for (let slot = 0; slot < used; slot += 1) {
      if (topic[slot] !== ref) continue;
      const groupId = this.#groups.textOf(group[slot] ?? NONE);
      keys.push({ groupId, topicId, partition: partition[slot] ?? 0 });
    }
    return keys;
  }

  #read(slot: number): CommittedOffset {
    const { commitTimeMs, leaderEpoch, offset } = this.#slots;
    return {
      offset: offset[slot] ?? 0,
      leaderEpoch: leaderEpoch[slot] ?? NONE,
      metadata: this.#metadata.get(slot) ?? null,
      commitTimeMs: commitTimeMs[slot] ?? 0,
    };
  }

  #find(groupId: string, topicId: string, partition: number): number {
    const group = this.#groups.find(groupId);
    const topic = this.#topics.find(topicId);
    if (group === NONE || topic === NONE) return NONE;
    return this.#index.find(group, topic, partition);
  }

  /** @param head the first slot of the group so far. */
  #add(group: number, topic: number, partition: number, head: number): number {
    const slots = this.#slots;
    const slot = slots.take();
    slots.group[slot] = group;
    slots.topic[slot] = topic;
    slots.partition[slot] = partition;
    slots.next[slot] = head;
    slots.previous[slot] = NONE;
    if (head !== NONE) slots.previous[head] = slot;
    this.#heads[group] = slot;
    this.#index.add(slot);
    return slot;
  }
}
