import { describe, expect, test } from '@jest/globals';

import { measureZstd } from '../../../protocol/src/records/compression/zstd-frame.js';
import { expectError } from './fixtures.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** RFC 8878: magic, descriptor, window or size fields, then blocks with three-byte headers. */
describe('measureZstd', () => {
  test.each([
    ['one byte of size, single segment', '28b52ffd 20 05', 5],
    ['two bytes, which count from 256', '28b52ffd 60 0500', 261],
    ['four bytes', '28b52ffd a0 05000100', 65_541],
    ['eight bytes', '28b52ffd e0 0500000001000000', 2 ** 32 + 5],
    ['a window, a dictionary id and two bytes', '28b52ffd 41 58 07 0500', 261],
  ])('reads a content size: %s', (_, header, atLeastBytes) => {
    const emptyLastBlock = '010000';
    expect(measureZstd(hex(header + emptyLastBlock)).atLeastBytes).toBe(atLeastBytes);
  });

  test('adds up raw, run-length and compressed blocks, and frames', () => {
    const raw = '180000 aabbcc';
    const runOf1000 = '421f00 aa';
    const compressedLast = '150000 0000';
    const frame = `28b52ffd 00 58 ${raw} ${runOf1000} ${compressedLast}`;
    const skippable = '5a2a4d18 03000000 aabbcc';
    expect(measureZstd(hex(frame + skippable + frame))).toEqual({
      atLeastBytes: 2 * 1003,
      atMostBytes: 2 * (1003 + 131_072),
    });
  });

  test.each([
    ['nothing', '', /empty/],
    ['another magic', '0102030405060708', /does not start with a frame header/],
    ['a header that is cut off', '28b52ffd e0 050000', /header is cut off/],
    ['no blocks', '28b52ffd a0 05000100', /block header is cut off/],
    ['a block that is cut off', '28b52ffd 00 58 190000 aabb', /block is cut off/],
    ['a reserved block type', '28b52ffd 00 58 070000', /reserved type/],
    ['a missing checksum', '28b52ffd 04 58 010000 0000', /checksum is cut off/],
    ['a skippable frame that is cut off', '502a4d18 09000000 aa', /skippable frame is cut off/],
    ['other bytes after the frame', '28b52ffd 00 58 010000 ff', /header is cut off/],
  ])('refuses %s', (_, content, message) => {
    expectError(() => measureZstd(hex(content)), 'CORRUPT_MESSAGE', message);
  });
});
