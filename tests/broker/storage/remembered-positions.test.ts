import { expect, test } from '@jest/globals';
import { RememberedPositions } from '../../../broker/src/storage/remembered-positions.js';

test('the last 64 positions are remembered, each the last that was told of its offset', () => {
  const positions = new RememberedPositions();
  expect(positions.get(0)).toBeUndefined();
  expect(positions.get(-1)).toBeUndefined();
  for (let offset = 0; offset < 100; offset += 1) positions.set(offset, offset * 10);
  expect(positions.get(35)).toBeUndefined();
  expect(positions.get(36)).toBe(360);
  expect(positions.get(99)).toBe(990);
  positions.set(50, 7);
  expect(positions.get(50)).toBe(7);
  expect(positions.get(36)).toBe(360);
  positions.set(100, 1_000);
  expect(positions.get(36)).toBeUndefined();
  expect(positions.get(37)).toBe(370);
  expect(positions.get(-1)).toBeUndefined();
});
