import { isUtf8 } from 'node:buffer';
import { ProtocolError } from './errors.js';
import { MAX_HEADER_DEPTH, MAX_HEADER_ELEMENTS } from './limits.js';

const REFUSED = 0;
const SCALAR = 1;
const STRING = 2;
const BINARY = 3;
const ARRAY = 4;

/** What a type byte starts, and how many bytes of value (scalars) or length follow it. */
const kinds = new Uint8Array(256);
const widths = new Uint8Array(256);

function define(kind: number, width: number, first: number, last = first): void {
  kinds.fill(kind, first, last + 1);
  widths.fill(width, first, last + 1);
}

// https://github.com/msgpack/msgpack/blob/master/spec.md; what is not defined here is refused.
define(SCALAR, 0, 0x00, 0x7f); // positive fixint
define(ARRAY, 0, 0x90, 0x9f); // fixarray
define(STRING, 0, 0xa0, 0xbf); // fixstr
define(SCALAR, 0, 0xc0); // nil
define(SCALAR, 0, 0xc2, 0xc3); // false, true
define(BINARY, 1, 0xc4);
define(BINARY, 2, 0xc5);
define(BINARY, 4, 0xc6);
define(SCALAR, 8, 0xcb); // float64
define(SCALAR, 1, 0xcc); // uint8 and wider
define(SCALAR, 2, 0xcd);
define(SCALAR, 4, 0xce);
define(SCALAR, 8, 0xcf);
define(SCALAR, 1, 0xd0); // int8 and wider
define(SCALAR, 2, 0xd1);
define(SCALAR, 4, 0xd2);
define(SCALAR, 8, 0xd3);
define(STRING, 1, 0xd9);
define(STRING, 2, 0xda);
define(STRING, 4, 0xdb);
define(ARRAY, 2, 0xdc);
define(ARRAY, 4, 0xdd);
define(SCALAR, 0, 0xe0, 0xff); // negative fixint

/** Values still to come in each open array. One for all scans: a scan never yields. */
const valuesLeft = new Uint32Array(MAX_HEADER_DEPTH + 1);

/**
 * Walks the bytes of a header before msgpack-lite sees them, without allocating: one array of at
 * least three values, only nil, bool, int, float64, str, bin and array, nothing deeper than `MAX_HEADER_DEPTH`, no
 * more than `MAX_HEADER_ELEMENTS` values, no declared size beyond the bytes that are there, and
 * no byte after it.
 *
 * @param start where the header begins in `bytes`; default 0.
 * @param end where it ends; default the end of `bytes`.
 * @throws ProtocolError `MALFORMED_HEADER` that says what was found at which byte of the header.
 */
export function prescanHeader(bytes: Buffer, start = 0, end = bytes.length): void {
  let position = start;
  let depth = 0;
  let elements = 1;
  valuesLeft[0] = 1;
  for (;;) {
    if (position >= end) throw missing(position - start);
    const type = bytes[position] as number;
    const kind = kinds[type] as number;
    const body = position + 1 + (widths[type] as number);
    if (kind === REFUSED || (depth === 0 && kind !== ARRAY)) {
      throw refused(type, position - start, depth);
    }
    if (body > end) throw cutShort(position - start);
    valuesLeft[depth] = (valuesLeft[depth] as number) - 1;
    if (kind === SCALAR) {
      position = body;
    } else {
      const size = declaredSize(bytes, type, position, body);
      if (size > end - body) throw oversized(kind, size, position - start, end - body);
      if (kind === ARRAY) {
        elements += size;
        depth += 1;
        if (depth > MAX_HEADER_DEPTH) throw tooDeep(position - start);
        if (depth === 1 && size < 3) throw tooFew(size);
        if (elements > MAX_HEADER_ELEMENTS) throw tooMany(position - start);
        valuesLeft[depth] = size;
        position = body;
      } else {
        if (kind === STRING) checkUtf8(bytes, body, body + size, position - start);
        position = body + size;
      }
    }
    while (valuesLeft[depth] === 0) {
      if (depth === 0) {
        if (position !== end) throw trailing(position - start, end - position);
        return;
      }
      depth -= 1;
    }
  }
}

function declaredSize(bytes: Buffer, type: number, position: number, body: number): number {
  if (body - position === 1) return type & (type < 0xa0 ? 0x0f : 0x1f);
  let size = 0;
  for (let at = position + 1; at < body; at += 1) size = size * 256 + (bytes[at] as number);
  return size;
}

function checkUtf8(bytes: Buffer, from: number, to: number, at: number): void {
  let seen = 0;
  for (let index = from; index < to; index += 1) seen |= bytes[index] as number;
  if (seen < 0x80 || isUtf8(bytes.subarray(from, to))) return;
  throw malformed(`the string at byte ${at} is not valid UTF-8`);
}

function missing(at: number): ProtocolError {
  return malformed(`it ends at byte ${at} where a value must begin`);
}

function cutShort(at: number): ProtocolError {
  return malformed(`it ends within the value at byte ${at}`);
}

function oversized(kind: number, size: number, at: number, left: number): ProtocolError {
  const what =
    kind === ARRAY
      ? `array at byte ${at} declares ${size} values`
      : `${kind === STRING ? 'string' : 'binary'} at byte ${at} declares ${size} bytes`;
  return malformed(`the ${what} but only ${left} bytes are left`);
}

function tooDeep(at: number): ProtocolError {
  return malformed(`the array at byte ${at} nests deeper than ${MAX_HEADER_DEPTH} levels`);
}

function tooFew(size: number): ProtocolError {
  return malformed(
    `its array has ${size} values; API key, API version and correlation id must come first`,
  );
}

function tooMany(at: number): ProtocolError {
  return malformed(
    `with the array at byte ${at} it has more than ${MAX_HEADER_ELEMENTS} values; ask for less`,
  );
}

function trailing(at: number, bytes: number): ProtocolError {
  return malformed(`its array ends at byte ${at} and ${bytes} more bytes follow`);
}

function refused(type: number, at: number, depth: number): ProtocolError {
  const found = `${nameOfType(type)} (0x${type.toString(16).padStart(2, '0')}) at byte ${at}`;
  if (depth === 0) return malformed(`found ${found} where the header's array must begin`);
  return malformed(`found ${found}; only nil, bool, int, float64, str, bin and array may occur`);
}

function nameOfType(type: number): string {
  if ((type >= 0x80 && type <= 0x8f) || type === 0xde || type === 0xdf) return 'a map';
  if ((type >= 0xc7 && type <= 0xc9) || (type >= 0xd4 && type <= 0xd8)) return 'an extension';
  if (type === 0xc1) return 'the reserved type';
  if (type === 0xca) return 'a float32';
  if (kinds[type] === STRING) return 'a string';
  if (kinds[type] === BINARY) return 'a binary';
  return 'a number, bool or nil';
}

/** An error about a header; `problem` continues the sentence. */
export function malformed(problem: string): ProtocolError {
  return new ProtocolError('MALFORMED_HEADER', `Frame header is malformed: ${problem}`);
}
