import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProtocolError } from '../../protocol/src/errors.js';
import { decodeHeader, encodeHeader, FRAME_PREFIX_BYTES } from '../../protocol/src/header.js';
import type { Field } from '../../protocol/src/header.js';
import { prescanHeader } from '../../protocol/src/header-scan.js';
import { MAX_HEADER_ELEMENTS } from '../../protocol/src/limits.js';

const head = { apiKey: 1, apiVersion: 0, correlationId: 9 };

function encode(fields: readonly Field[]): Buffer {
  return encodeHeader(head, fields).subarray(FRAME_PREFIX_BYTES);
}

function problemOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ProtocolError && error.errorName === 'MALFORMED_HEADER') {
      return error.message;
    }
    throw error;
  }
  return 'none';
}

/** Fields that lie at most `depth` arrays deep. */
function fieldsOf(depth: number): fc.Arbitrary<Field> {
  const scalars: fc.Arbitrary<Field>[] = [
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }).filter((value) => !Object.is(value, -0)),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  ];
  if (depth === 0) return fc.oneof(...scalars);
  return fc.oneof(...scalars, fc.array(fieldsOf(depth - 1), { maxLength: 20 }));
}

describe('a header', () => {
  test('comes back as it was encoded, and passes the scan', () => {
    const property = fc.property(fc.array(fieldsOf(3), { maxLength: 20 }), (fields) => {
      const header = encode(fields);
      prescanHeader(header);
      expect(decodeHeader(header)).toEqual({ ...head, fields });
    });
    fc.assert(property);
  });

  test('shares no memory with what it was decoded from', () => {
    const large = Buffer.alloc(100_000, 1);
    const header = Buffer.from(encode(['text', Buffer.from('ab'), [large]]));
    const { fields } = decodeHeader(header);
    header.fill(0xff);
    expect(fields).toEqual(['text', Buffer.from('ab'), [large]]);
  });

  test.each([
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
    -1,
    -32,
    -33,
    -128,
    -129,
    -32_768,
    -32_769,
    -(2 ** 31),
    -(2 ** 31) - 1,
    -(2 ** 53) + 1,
    0.1,
    Number.MIN_VALUE,
    Number.MAX_VALUE,
    Infinity,
  ])('carries the number %d', (value) => {
    expect(decodeHeader(encode([value])).fields).toEqual([value]);
  });

  test.each([0, 31, 32, 255, 256, 65_535, 65_536, 200_000])(
    'carries strings and binaries of %d bytes',
    (length) => {
      const fields = ['x'.repeat(length), Buffer.alloc(length, 1)];
      expect(decodeHeader(encode(fields)).fields).toEqual(fields);
    },
  );

  test.each([0, 12, 13, 15, 16, 65_535, 65_536])('carries a list of %d values', (length) => {
    const list = new Array<number>(length).fill(7);
    expect(decodeHeader(encode([list, ...list])).fields).toEqual([list, ...list]);
  });

  test('reads the 64-bit integers that other encoders write', () => {
    const unsigned = Buffer.from('9401000acf001fffffffffffff', 'hex');
    expect(decodeHeader(unsigned).fields).toEqual([Number.MAX_SAFE_INTEGER]);
    const signed = Buffer.from('9401000ad3ffffffffffffff85', 'hex');
    expect(decodeHeader(signed).fields).toEqual([-123]);
    const beyond = decodeHeader(Buffer.from('9401000acf0020000000000001', 'hex'));
    expect(Number.isSafeInteger(beyond.fields[0])).toBe(false);
  });

  test('does not change when the next one is encoded', () => {
    const first = encodeHeader(head, ['first']);
    const copy = Buffer.from(first);
    encodeHeader(head, ['other']);
    expect(first.equals(copy)).toBe(true);
  });

  test('is encoded afresh after one that could not be encoded', () => {
    const bad = ['left over', 1n] as unknown as Field[];
    expect(() => encodeHeader(head, bad)).toThrow(/bigint/);
    expect(decodeHeader(encode(['next'])).fields).toEqual(['next']);
  });

  test.each<[string, unknown]>([
    ['a map', { a: 1 }],
    ['a typed array', new Uint8Array(3)],
    ['a date', new Date(0)],
    ['five levels within the header', [[[[[]]]]]],
    ['too many values', new Array(MAX_HEADER_ELEMENTS).fill(0)],
  ])('is refused by the sender already when it holds %s', (_, value) => {
    expect(problemOf(() => encode([value as Field]))).toMatch(/malformed/);
  });
});

describe('a malformed header', () => {
  test.each<[string, string, RegExp]>([
    ['nothing', '', /ends at byte 0 where a value must begin/],
    ['a number', '05', /a number, bool or nil \(0x05\) at byte 0 where the header's array/],
    ['a string', 'a161', /a string \(0xa1\) at byte 0 where/],
    ['a map as its root', '80', /a map \(0x80\) at byte 0 where/],
    ['too few values', '920000', /has 2 values; API key, API version and correlation id/],
    ['a fixmap', '9400000081a16101', /a map \(0x81\) at byte 4; only/],
    ['a map16', '94000000de0000', /a map \(0xde\) at byte 4; only/],
    ['a map32', '94000000df00000000', /a map \(0xdf\) at byte 4; only/],
    ['a fixext', '94000000d40100', /an extension \(0xd4\) at byte 4/],
    ['an ext8', '94000000c7000100', /an extension \(0xc7\) at byte 4/],
    ['a float32', '94000000ca00000000', /a float32 \(0xca\) at byte 4/],
    ['the reserved byte', '94000000c1', /the reserved type \(0xc1\) at byte 4/],
    ['fewer values than declared', '94000000', /declares 4 values but only 3 bytes are left/],
    ['a missing value', '94cc000000', /ends at byte 5 where a value must begin/],
    ['a cut number', '94000000cd01', /ends within the value at byte 4/],
    ['a cut length', '94000000db0000', /ends within the value at byte 4/],
    ['a cut string', '94000000a36162', /string at byte 4 declares 3 bytes but only 2 bytes/],
    ['a huge string', '94000000dbffffffff61', /declares 4294967295 bytes but only 1 bytes/],
    ['a huge binary', '94000000c6ffffffff61', /binary at byte 4 declares 4294967295 bytes/],
    ['a huge array', '94000000ddffffffff00', /array at byte 4 declares 4294967295 values/],
    ['a huge root', 'ddffffffff000000', /array at byte 0 declares 4294967295 values/],
    ['a cut array', '9400000092c0', /array at byte 4 declares 2 values but only 1 bytes/],
    ['trailing bytes', '93000000c0c0', /array ends at byte 4 and 2 more bytes follow/],
    ['nesting beyond the bound', '940000009191919190', /byte 8 nests deeper than 5 levels/],
    ['invalid UTF-8', '94000000a2c328', /string at byte 4 is not valid UTF-8/],
    ['a UTF-8 surrogate', '94000000a3eda080', /string at byte 4 is not valid UTF-8/],
    ['a string as API key', '93a00000', /API key must be an integer .* not a string/],
    ['an array as API version', '93009000', /API version must be an integer/],
    ['a negative API version', '9300ff00', /API version must be an integer from 0 .* not -1/],
    ['nil as correlation id', '930000c0', /correlation id must be an integer .* not null/],
    ['a fractional correlation id', '930000cb3fe0000000000000', /correlation id .* not 0.5/],
    ['a large correlation id', '930000ce80000000', /correlation id .* not 2147483648/],
  ])('with %s says so', (_, hex, message) => {
    expect(problemOf(() => decodeHeader(Buffer.from(hex, 'hex')))).toMatch(message);
  });

  test('with too many values is refused before they are walked', () => {
    const count = MAX_HEADER_ELEMENTS;
    const header = Buffer.alloc(9 + count);
    header.set(Buffer.from('94000000dd', 'hex'));
    header.writeUInt32BE(count, 5);
    expect(problemOf(() => prescanHeader(header))).toMatch(/more than 262144 values/);
  });

  test('counts bytes from the start of the header, not of the buffer', () => {
    const bytes = Buffer.from('ffff94000000c1ffff', 'hex');
    expect(problemOf(() => decodeHeader(bytes, 2, 7))).toMatch(/at byte 4/);
    expect(problemOf(() => decodeHeader(bytes, 2, 6))).toMatch(/only 3 bytes are left/);
  });

  test('of random bytes causes nothing but a ProtocolError', () => {
    const interesting = fc.constantFrom(0x90, 0x93, 0x94, 0xa1, 0xc0, 0xc4, 0xcb, 0xcf, 0xdc, 0xdd);
    const garbage = fc.array(fc.oneof(fc.integer({ min: 0, max: 255 }), interesting), {
      maxLength: 60,
    });
    const property = fc.property(garbage, fc.boolean(), (values, rooted) => {
      const header = Buffer.from(rooted ? [0x94, 0, 0, 0, ...values] : values);
      problemOf(() => decodeHeader(header));
    });
    fc.assert(property, { numRuns: 5_000 });
  });

  test('made by changing one byte of a good one causes nothing but a ProtocolError', () => {
    const property = fc.property(
      fc.array(fieldsOf(3), { maxLength: 8 }),
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      (fields, at, value) => {
        const header = encode(fields);
        header[at % header.length] = value;
        problemOf(() => decodeHeader(header));
      },
    );
    fc.assert(property, { numRuns: 1_000 });
  });
});
