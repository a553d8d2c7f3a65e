const INITIAL_SLOTS = 64;
const NONE = -1;

/** The numbers of committed offsets, one array for each column; a row across them is a slot. */
export class OffsetSlots {
  offset = new Float64Array(INITIAL_SLOTS);
  commitTimeMs = new Float64Array(INITIAL_SLOTS);
  leaderEpoch = new Int32Array(INITIAL_SLOTS);
  partition = new Int32Array(INITIAL_SLOTS);
  /** Number of the group's id. */
  group = new Int32Array(INITIAL_SLOTS);
  /** Number of the topic's id; -1: the slot is free. */
  topic = new Int32Array(INITIAL_SLOTS);
  /** The slot of the same group after this one; the free slot after this one; -1: none. */
  next = new Int32Array(INITIAL_SLOTS);
  /** The slot of the same group before this one; -1: none. */
  previous = new Int32Array(INITIAL_SLOTS);
  /** Slots from here on were never taken. */
  used = 0;
  #firstFree = NONE;

  /** A slot to fill in. */
  take(): number {
    const free = this.#firstFree;
    if (free !== NONE) {
      this.#firstFree = this.next[free] ?? NONE;
      return free;
    }
    if (this.used === this.offset.length) this.#grow();
    this.used += 1;
    return this.used - 1;
  }

  release(slot: number): void {
    this.topic[slot] = NONE;
    this.next[slot] = this.#firstFree;
    this.#firstFree = slot;
  }

  #grow(): void {
    const slots = this.offset.length * 2;
    this.offset = grown(this.offset, new Float64Array(slots));
    this.commitTimeMs = grown(this.commitTimeMs, new Float64Array(slots));
    this.leaderEpoch = grown(this.leaderEpoch, new Int32Array(slots));
    this.partition = grown(this.partition, new Int32Array(slots));
    this.group = grown(this.group, new Int32Array(slots));
    this.topic = grown(this.topic, new Int32Array(slots));
    this.next = grown(this.next, new Int32Array(slots));
    this.previous = grown(this.previous, new Int32Array(slots));
  }
}

function grown<Column extends Float64Array | Int32Array>(old: Column, column: Column): Column {
  column.set(old);
  return column;
}
