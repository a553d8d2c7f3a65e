import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteChunks } from '../../protocol/src/bytes.js';

const chunkLists = fc.array(
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 8 },
);

describe('ByteChunks', () => {
  test('slices, views and joins like one buffer, however the bytes are chunked', () => {
    const property = fc.property(chunkLists, fc.nat(), fc.nat(), (chunks, a, b) => {
      const bytes = new ByteChunks(chunks);
      const whole = Buffer.concat(chunks);
      const [start, end] = [a % (whole.length + 1), b % (whole.length + 1)].sort((x, y) => x - y);
      if (start === undefined || end === undefined) throw new Error('two numbers');
      const expected = whole.subarray(start, end);
      expect(bytes.length).toBe(whole.length);
      expect(bytes.toBuffer().equals(whole)).toBe(true);
      expect(bytes.slice(start, end).length).toBe(expected.length);
      expect(bytes.slice(start, end).toBuffer().equals(expected)).toBe(true);
      expect(bytes.slice(start).toBuffer().equals(whole.subarray(start))).toBe(true);
      expect(bytes.view(start, end - start).equals(expected)).toBe(true);
    });
    fc.assert(property);
  });

  test('shares memory: slices always, a view and toBuffer within one chunk', () => {
    const chunks = [Buffer.from('abcd'), Buffer.from('efgh')];
    const bytes = new ByteChunks(chunks);
    const slice = bytes.slice(2, 6);
    const view = bytes.view(4, 4);
    const straddling = bytes.view(2, 4);
    chunks[0]?.write('X', 2);
    chunks[1]?.write('Y', 0);
    expect(slice.toBuffer().toString()).toBe('XdYf');
    expect(view.toString()).toBe('Yfgh');
    expect(straddling.toString()).toBe('cdef');
    expect(bytes.slice(0, 4).toBuffer().buffer).toBe(chunks[0]?.buffer);
  });

  test.each([
    [-1, 2],
    [3, 2],
    [0, 5],
    [5, 5],
    [0.5, 2],
    [0, Number.NaN],
  ])('refuses the range %d to %d of 4 bytes', (start, end) => {
    const bytes = new ByteChunks([Buffer.from('abcd')]);
    expect(() => bytes.slice(start, end)).toThrow(RangeError);
    expect(() => bytes.view(start, end - start)).toThrow(RangeError);
  });
});
