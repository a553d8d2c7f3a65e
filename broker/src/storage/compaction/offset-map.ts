import { KeyHash } from './key-hash.js';

/** 128 bits of hash and 64 of offset. */
export const SLOT_BYTES = 24;
const WORDS_PER_SLOT = SLOT_BYTES / 4;
/** Share of the slots that is used at most: beyond it, searches become long. */
const MAX_LOAD = 0.75;
/** Positions in the table stay small integers, which are fast. */
const MAX_MEMORY_BYTES = 4 * 1024 ** 3;
const TWO_32 = 2 ** 32;

/**
 * The latest offset of each key, in memory that does not grow: an open-addressing table over one typed
 * array. Keys are told apart by a 128-bit hash under a seed of its own, as Kafka's cleaner does by MD5
 * (SkimpyOffsetMap): two of a billion keys collide with a probability of 10⁻²¹.
 *
 * A slot is `u32 hash[4] · u32 low · u32 high` of the offset plus one; zeros are an empty slot.
 */
export class OffsetMap {
  readonly #slots: number;
  readonly #words: Uint32Array;
  readonly #hash: KeyHash;
  #size = 0;

  /** How many keys it takes. */
  readonly capacity: number;

  /**
   * @param memoryBytes what the table may take; more than 4 GiB are not used.
   * @param keys an upper bound of the keys to come, where there is one: the table is no larger.
   * @param seed 32 bits, different for each map.
   */
  constructor(memoryBytes: number, keys: number, seed: number) {
    const affordable = Math.floor(Math.min(memoryBytes, MAX_MEMORY_BYTES) / SLOT_BYTES);
    const needed = Math.ceil(keys / MAX_LOAD) + 2;
    this.#slots = Math.max(2, Math.min(affordable, needed));
    // One slot stays empty: every search ends.
    this.capacity = Math.max(1, Math.floor(this.#slots * MAX_LOAD));
    this.#words = new Uint32Array(this.#slots * WORDS_PER_SLOT);
    this.#hash = new KeyHash(seed);
  }

  get size(): number {
    return this.#size;
  }

  get memoryBytes(): number {
    return this.#words.byteLength;
  }

  /**
   * Notes that the key in `length` bytes from `start` on is at `offset`, which is beyond those it had
   * before. False, and nothing is noted, when the key is new and the map is full.
   */
  put(bytes: Uint8Array, start: number, length: number, offset: number): boolean {
    const at = this.#find(bytes, start, length);
    const words = this.#words;
    if (isEmpty(words, at)) {
      if (this.#size >= this.capacity) return false;
      this.#size += 1;
      const { h1, h2, h3, h4 } = this.#hash;
      words[at] = h1;
      words[at + 1] = h2;
      words[at + 2] = h3;
      words[at + 3] = h4;
    }
    const stored = offset + 1;
    words[at + 4] = stored % TWO_32;
    words[at + 5] = stored / TWO_32;
    return true;
  }

  /** The latest offset of a key; -1 when it is not in the map. */
  get(bytes: Uint8Array, start: number, length: number): number {
    const at = this.#find(bytes, start, length);
    const words = this.#words;
    return (words[at + 5] as number) * TWO_32 + (words[at + 4] as number) - 1;
  }

  /** Where the slot of a key is, or the empty one it would get; its hash is in the fields then. */
  #find(bytes: Uint8Array, start: number, length: number): number {
    const hash = this.#hash;
    hash.of(bytes, start, length);
    const words = this.#words;
    const h1 = hash.h1 >>> 0;
    const h2 = hash.h2 >>> 0;
    const h3 = hash.h3 >>> 0;
    const h4 = hash.h4 >>> 0;
    let at = Math.floor((h1 / TWO_32) * this.#slots) * WORDS_PER_SLOT;
    for (;;) {
      if (isEmpty(words, at)) return at;
      const same =
        words[at] === h1 && words[at + 1] === h2 && words[at + 2] === h3 && words[at + 3] === h4;
      if (same) return at;
      at += WORDS_PER_SLOT;
      if (at === words.length) at = 0;
    }
  }
}

function isEmpty(words: Uint32Array, at: number): boolean {
  return words[at + 4] === 0 && words[at + 5] === 0;
}
