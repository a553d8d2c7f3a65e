/*
 * MurmurHash3_x86_128 by Austin Appleby (SMHasher, public domain): 32-bit multiplications, rotations
 * and xors only, which `Math.imul` makes fast in JavaScript. Whoever crafts two keys that collide can
 * do no more harm than he who writes a tombstone, which takes the same right to produce.
 */
const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;
const BLOCK_BYTES = 16;

/** The 128-bit hash of keys under one seed. Its words are fields: a hash makes no object. */
export class KeyHash {
  /** The words of the last {@link of}, signed. */
  h1 = 0;
  h2 = 0;
  h3 = 0;
  h4 = 0;

  constructor(private readonly seed: number) {}

  /** Hashes `length` bytes from `start` on. */
  of(bytes: Uint8Array, start: number, length: number): void {
    const { seed } = this;
    let h1 = seed | 0;
    let h2 = h1;
    let h3 = h1;
    let h4 = h1;
    let at = start;
    const blocksEnd = start + length - (length % BLOCK_BYTES);
    for (; at < blocksEnd; at += BLOCK_BYTES) {
      h1 ^= mix(word(bytes, at), C1, 15, C2);
      h1 = (Math.imul(rotate(h1, 19) + h2, 5) + 0x561ccd1b) | 0;
      h2 ^= mix(word(bytes, at + 4), C2, 16, C3);
      h2 = (Math.imul(rotate(h2, 17) + h3, 5) + 0x0bcaa747) | 0;
      h3 ^= mix(word(bytes, at + 8), C3, 17, C4);
      h3 = (Math.imul(rotate(h3, 15) + h4, 5) + 0x96cd1c35) | 0;
      h4 ^= mix(word(bytes, at + 12), C4, 18, C1);
      h4 = (Math.imul(rotate(h4, 13) + h1, 5) + 0x32ac3b17) | 0;
    }
    const left = start + length - at;
    if (left > 12) h4 ^= mix(partOfWord(bytes, at + 12, left - 12), C4, 18, C1);
    if (left > 8) h3 ^= mix(partOfWord(bytes, at + 8, left - 8), C3, 17, C4);
    if (left > 4) h2 ^= mix(partOfWord(bytes, at + 4, left - 4), C2, 16, C3);
    if (left > 0) h1 ^= mix(partOfWord(bytes, at, left), C1, 15, C2);
    this.#finish(h1 ^ length, h2 ^ length, h3 ^ length, h4 ^ length);
  }

  #finish(a: number, b: number, c: number, d: number): void {
    const sum = (a + b + c + d) | 0;
    const h1 = avalanche(sum);
    const h2 = avalanche((b + sum) | 0);
    const h3 = avalanche((c + sum) | 0);
    const h4 = avalanche((d + sum) | 0);
    this.h1 = (h1 + h2 + h3 + h4) | 0;
    this.h2 = (h2 + this.h1) | 0;
    this.h3 = (h3 + this.h1) | 0;
    this.h4 = (h4 + this.h1) | 0;
  }
}

function mix(value: number, first: number, bits: number, second: number): number {
  return Math.imul(rotate(Math.imul(value, first), bits), second);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** Little-endian, whatever the machine. */
function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function partOfWord(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = Math.min(length, 4) - 1; i >= 0; i -= 1) {
    value = (value << 8) | (bytes[at + i] as number);
  }
  return value;
}

function avalanche(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
