import { createRequire } from 'node:module';
import type * as Crc32Library from '@node-rs/crc32';
import { ByteChunks, crc32c, useCrc32c } from '@millrace/protocol';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { continueCrc32c } from '../../../protocol/src/records/crc.js';

const library = createRequire(import.meta.url)('@node-rs/crc32') as typeof Crc32Library;

/** RFC 3720 B.4 prints the sums as the bytes on its wire, least significant first. */
const vectors: readonly (readonly [string, Buffer, number])[] = [
  ['32 bytes of zeroes', Buffer.alloc(32), 0x8a9136aa],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['32 incrementing bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
  ['32 decrementing bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
  [
    'an iSCSI read command',
    Buffer.from(
      '01c00000000000000000000000000000140000000000040000000014000000182800000000000000' +
        '0200000000000000',
      'hex',
    ),
    0xd9963a56,
  ],
  ['the usual check string', Buffer.from('123456789'), 0xe3069283],
  ['nothing', Buffer.alloc(0), 0],
];

describe('crc32c', () => {
  test.each(vectors)('of %s is as published', (_, bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum);
  });

  test('is the same however the bytes are split', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (parts) => {
        const chunks = parts.map((part) => Buffer.from(part));
        expect(crc32c(new ByteChunks(chunks))).toBe(crc32c(Buffer.concat(chunks)));
      }),
    );
  });
});

describe('useCrc32c', () => {
  test('has every sum computed by what it was given', () => {
    const calls: [number, number][] = [];
    useCrc32c((bytes, crc) => {
      calls.push([bytes.length, crc]);
      return library.crc32c(bytes, crc);
    });
    calls.length = 0;
    const [first, second] = [Buffer.from('1234'), Buffer.from('56789')];
    const halfway = crc32c(first);
    expect(continueCrc32c(halfway, second)).toBe(0xe3069283);
    expect(crc32c(new ByteChunks([first, second]))).toBe(0xe3069283);
    expect(calls).toEqual([
      [4, 0],
      [5, halfway],
      [4, 0],
      [5, halfway],
    ]);
  });

  test.each([
    ['another sum', (bytes: Uint8Array, crc: number) => crc + bytes.length],
    ['a CRC-32', (bytes: Uint8Array, crc: number) => library.crc32(bytes, crc)],
    ['a sum that does not go on', (bytes: Uint8Array) => library.crc32c(bytes, 0)],
    [
      'one that is wrong in long stretches alone',
      (bytes: Uint8Array, crc: number) =>
        library.crc32c(bytes, crc) ^ Number(bytes.length >= 3 * 2048),
    ],
  ])('refuses %s', (_, wrong) => {
    expect(() => {
      useCrc32c(wrong);
    }).toThrow(/^not a CRC-32C: .*npm rebuild @millrace\/native.*MILLRACE_NO_NATIVE=1/);
  });
});
