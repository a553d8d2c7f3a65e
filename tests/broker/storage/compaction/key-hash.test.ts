import { expect, test } from '@jest/globals';
import { KeyHash } from '../../../../broker/src/storage/compaction/key-hash.js';

const hashOf = (bytes: Uint8Array, seed: number, start = 0, length = bytes.length): Buffer => {
  const hash = new KeyHash(seed);
  hash.of(bytes, start, length);
  const out = Buffer.alloc(16);
  [hash.h1, hash.h2, hash.h3, hash.h4].forEach((word, i) => out.writeInt32LE(word, 4 * i));
  return out;
};

test('is MurmurHash3_x86_128: the verification value of SMHasher comes out', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const hashes = Array.from({ length: 256 }, (_, i) => hashOf(bytes, 256 - i, 0, i));
  expect(hashOf(Buffer.concat(hashes), 0).readUInt32LE(0)).toBe(0xb3ece62a);
});

test('depends on the bytes within the range only', () => {
  const a = Buffer.from('xxkey of some lengthyy');
  const b = Buffer.from('key of some length');
  expect(hashOf(a, 7, 2, b.length)).toEqual(hashOf(b, 7));
  expect(hashOf(b, 8)).not.toEqual(hashOf(b, 7));
});
