import { expect, test } from '@jest/globals';
import { murmur2, partitionOfKey } from '../../../client/src/producer/murmur2.js';

// The vectors of Kafka's own test of this function (UtilsTest).
const vectors: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
];

test.each(vectors)('murmur2 of "%s" is that of Kafka', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash);
});

test.each(vectors)('the partition of "%s" is that of Kafka', (text, hash) => {
  const expected = (hash & 0x7fffffff) % 12;
  expect(partitionOfKey(text, 12)).toBe(expected);
  expect(partitionOfKey(Buffer.from(text), 12)).toBe(expected);
});

test('a string hashes as its UTF-8 bytes, of any length', () => {
  for (const text of ['', 'ä', '日本語', '😀', 'x'.repeat(1023) + 'é', 'ü'.repeat(2000)]) {
    expect(partitionOfKey(text, 1_000_003)).toBe(partitionOfKey(Buffer.from(text), 1_000_003));
  }
});
