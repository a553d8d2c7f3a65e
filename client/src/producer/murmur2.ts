/*
 * Murmur2 (32 bits, seed 0x9747b28c) as Kafka's clients use it to place keyed messages
 * (org.apache.kafka.common.utils.Utils.murmur2): the algorithm is Austin Appleby's, public domain.
 */

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;
const ROTATION = 24;

/** Strings of up to this many UTF-16 units are hashed without a buffer of their own. */
const SCRATCH_UNITS = 1024;
const scratch = Buffer.alloc(SCRATCH_UNITS * 3);

/** The hash as a signed 32-bit integer, as Java gives it. */
export function murmur2(bytes: Uint8Array, length = bytes.length): number {
  let hash = SEED ^ length;
  const wordsEnd = length & ~3;
  for (let index = 0; index < wordsEnd; index += 4) {
    let word =
      byteAt(bytes, index) |
      (byteAt(bytes, index + 1) << 8) |
      (byteAt(bytes, index + 2) << 16) |
      (byteAt(bytes, index + 3) << 24);
    word = Math.imul(word, MULTIPLIER);
    word ^= word >>> ROTATION;
    word = Math.imul(word, MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ word;
  }
  const tail = length & 3;
  if (tail === 3) hash ^= byteAt(bytes, wordsEnd + 2) << 16;
  if (tail >= 2) hash ^= byteAt(bytes, wordsEnd + 1) << 8;
  if (tail >= 1) hash = Math.imul(hash ^ byteAt(bytes, wordsEnd), MULTIPLIER);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MULTIPLIER);
  return hash ^ (hash >>> 15);
}

/**
 * The partition of a key: `toPositive(murmur2(key)) % partitionCount`, so that a key lies in the
 * same partition number as with Kafka's own clients. Strings count as their UTF-8 bytes.
 */
export function partitionOfKey(key: Uint8Array | string, partitionCount: number): number {
  return (hashOfKey(key) & 0x7fff_ffff) % partitionCount;
}

function hashOfKey(key: Uint8Array | string): number {
  if (typeof key !== 'string') return murmur2(key);
  if (key.length > SCRATCH_UNITS) return murmur2(Buffer.from(key));
  return murmur2(scratch, scratch.write(key, 0, 'utf8'));
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}
