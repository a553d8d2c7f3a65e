/** A small, fast generator of numbers (xorshift32), one for each input: an input is its seed and its number. */
export class Random {
  #state;

  constructor(seed, index = 0) {
    let mixed = (seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    this.#state = (mixed ^ (mixed >>> 16)) >>> 0 || 1;
  }

  /** A whole number from 0 to before `bound`. */
  int(bound) {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return Math.floor((this.#state / 2 ** 32) * bound);
  }

  chance(probability) {
    return this.int(2 ** 30) < probability * 2 ** 30;
  }

  pick(list) {
    return list[this.int(list.length)];
  }
}
