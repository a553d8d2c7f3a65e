import type { OffsetSlots } from './offsets-slots.js';

const INITIAL_PLACES = 128;
const NONE = -1;

/**
 * Finds the slot of a group's partition: a hash table of slot numbers with open addressing (linear
 * probing, at most half full). The keys are in the slots; here are their hashes, so that a place of
 * another key is passed over without a look at its slot.
 */
export class SlotIndex {
  /** Two numbers for each place: slot + 1 (0: nothing is here), and the hash of its key. */
  #places = new Int32Array(2 * INITIAL_PLACES);
  #mask = INITIAL_PLACES - 1;
  #size = 0;

  constructor(private readonly slots: OffsetSlots) {}

  get size(): number {
    return this.#size;
  }

  /** The slot, or -1. */
  find(group: number, topic: number, partition: number): number {
    const { slots } = this;
    const places = this.#places;
    const mask = this.#mask;
    const hash = hashOf(group, topic, partition);
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = (places[2 * place] ?? 0) - 1;
      if (slot === NONE) return NONE;
      if (places[2 * place + 1] !== hash) continue;
      const same =
        slots.partition[slot] === partition &&
        slots.group[slot] === group &&
        slots.topic[slot] === topic;
      if (same) return slot;
    }
  }

  /** Adds a slot whose key is not there. */
  add(slot: number): void {
    const { group, partition, topic } = this.slots;
    this.#size += 1;
    if (this.#size * 4 > this.#places.length) this.#grow();
    this.#put(slot, hashOf(group[slot] ?? 0, topic[slot] ?? 0, partition[slot] ?? 0));
  }

  /** Removes a slot that is there; its key must still be in it. */
  remove(slot: number): void {
    const { group, partition, topic } = this.slots;
    const places = this.#places;
    const mask = this.#mask;
    let hole = hashOf(group[slot] ?? 0, topic[slot] ?? 0, partition[slot] ?? 0) & mask;
    while (places[2 * hole] !== slot + 1) hole = (hole + 1) & mask;
    // What follows without a gap moves up, unless its home lies behind the hole.
    for (let place = (hole + 1) & mask; places[2 * place] !== 0; place = (place + 1) & mask) {
      const home = (places[2 * place + 1] ?? 0) & mask;
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      places.copyWithin(2 * hole, 2 * place, 2 * place + 2);
      hole = place;
    }
    places[2 * hole] = 0;
    this.#size -= 1;
  }

  #put(slot: number, hash: number): void {
    const places = this.#places;
    const mask = this.#mask;
    let place = hash & mask;
    while (places[2 * place] !== 0) place = (place + 1) & mask;
    places[2 * place] = slot + 1;
    places[2 * place + 1] = hash;
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Int32Array(old.length * 2);
    this.#mask = old.length - 1;
    for (let at = 0; at < old.length; at += 2) {
      const slot = (old[at] ?? 0) - 1;
      if (slot !== NONE) this.#put(slot, old[at + 1] ?? 0);
    }
  }
}

/** Mixes three small numbers well enough that neighbours do not collide (MurmurHash3's finish). */
function hashOf(group: number, topic: number, partition: number): number {
  let mixed = Math.imul(group, 0x9e3779b1) ^ Math.imul(topic, 0x85ebca77) ^ partition;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
