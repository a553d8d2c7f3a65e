import { expect, test } from '@jest/globals';
import { OffsetMap, SLOT_BYTES } from '../../../../broker/src/storage/compaction/offset-map.js';
import { seededRandom, testSeed } from '../../../support/seed.js';

const put = (map: OffsetMap, key: string, offset: number): boolean => {
  const bytes = Buffer.from(key);
  return map.put(bytes, 0, bytes.length, offset);
};
const get = (map: OffsetMap, key: string): number => {
  const bytes = Buffer.from(key);
  return map.get(bytes, 0, bytes.length);
};

test('holds what a Map holds, through collisions and offsets of more than 32 bits', () => {
  const random = seededRandom(testSeed());
  const map = new OffsetMap(SLOT_BYTES * 800, Infinity, 1);
  const model = new Map<string, number>();
  let offset = 2 ** 32 - 1_000;
  for (let i = 0; i < 5_000; i += 1) {
    const key = `k${Math.floor(random() * 600)}`;
    offset += Math.floor(random() * 3) + 1;
    expect(put(map, key, offset)).toBe(true);
    model.set(key, offset);
  }
  expect(map.size).toBe(model.size);
  for (let i = 0; i < 700; i += 1) expect(get(map, `k${i}`)).toBe(model.get(`k${i}`) ?? -1);
});

test('takes the empty key, and offset 0', () => {
  const map = new OffsetMap(1024, Infinity, 1);
  expect(get(map, '')).toBe(-1);
  expect(put(map, '', 0)).toBe(true);
  expect(get(map, '')).toBe(0);
});

test('says when it is full, and still takes keys that it has', () => {
  const map = new OffsetMap(SLOT_BYTES * 100, Infinity, 1);
  expect(map.capacity).toBe(75);
  for (let i = 0; i < map.capacity; i += 1) expect(put(map, `k${i}`, i)).toBe(true);
  expect(put(map, 'one more', 100)).toBe(false);
  expect(get(map, 'one more')).toBe(-1);
  expect(put(map, 'k3', 100)).toBe(true);
  expect(get(map, 'k3')).toBe(100);
  expect(map.size).toBe(75);
});

test('takes no more memory than it was given, and less where there are fewer keys', () => {
  expect(new OffsetMap(1 << 20, Infinity, 1).memoryBytes).toBeLessThanOrEqual(1 << 20);
  const small = new OffsetMap(64 << 20, 10, 1);
  expect(small.memoryBytes).toBeLessThan(1024);
  for (let i = 0; i < 10; i += 1) expect(put(small, `k${i}`, i)).toBe(true);
});
