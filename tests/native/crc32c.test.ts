import { readFileSync } from 'node:fs';
import { expect, test as jestTest } from '@jest/globals';
import fc from 'fast-check';
import { describeNative } from './helpers.js';

/** Bit by bit, as it is defined. */
function slowCrc32c(bytes: Uint8Array, crc: number): number {
  let sum = ~crc;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f63b78 : 0);
  }
  return ~sum >>> 0;
}

/** Three stretches of 128 and of 2,048 bytes are summed side by side: lengths on both sides of that. */
const LENGTHS = [
  0, 1, 7, 8, 9, 383, 384, 385, 391, 768, 6143, 6144, 6145, 6528, 6537, 12_288, 18_831,
];
/** So that every length is reached from places that are no multiple of a word. */
const MAX_SHIFT_BYTES = 9;

describeNative('crc32c', (native) => {
  const { crc32c = () => NaN } = native;
  const test = native.crc32c === undefined ? jestTest.skip : jestTest;

  jestTest('is there where the processor has the instructions', () => {
    const cpu = readFileSync('/proc/cpuinfo', 'utf8');
    const has = process.arch === 'x64' && /\bsse4_2\b/.test(cpu) && /\bpclmulqdq\b/.test(cpu);
    expect(native.crc32c !== undefined).toBe(has);
  });

  test.each(LENGTHS)('of %d bytes is the sum as it is defined', (length) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: length + MAX_SHIFT_BYTES, maxLength: length + MAX_SHIFT_BYTES }),
        fc.nat(MAX_SHIFT_BYTES),
        fc.nat(0xffffffff),
        (bytes, shift, crc) => {
          const stretch = bytes.subarray(shift, shift + length);
          expect(crc32c(stretch, crc)).toBe(slowCrc32c(stretch, crc));
        },
      ),
      { numRuns: 20 },
    );
  });

  test('goes on where it was interrupted', () => {
    const bytes = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 7919) % 251));
    const whole = crc32c(bytes, 0);
    fc.assert(
      fc.property(fc.nat(bytes.length), (at) => {
        expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at), 0))).toBe(whole);
      }),
    );
  });

  test.each([
    ['bytes that are none', 'text', 0, 'bytes must be a Uint8Array'],
    ['a sum that is none', Buffer.alloc(1), 'text', 'crc must be a number'],
    ['a negative sum', Buffer.alloc(1), -1, 'crc must be a safe integer'],
    ['a sum of more than 32 bits', Buffer.alloc(1), 2 ** 32, 'crc must have 32 bits'],
  ])('refuses %s', (_, bytes, crc, reason) => {
    expect(() => crc32c(bytes as Uint8Array, crc as number)).toThrow(reason);
  });
});
