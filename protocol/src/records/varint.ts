/**
 * Kafka's varints are Protocol Buffers' base-128 varints over zig-zag integers: the least
 * significant seven bits first, the high bit of a byte says that another follows.
 */

/** The longest encoding of a 32-bit and of a 64-bit integer. */
const MAX_VARINT_BYTES = 5;
const MAX_VARLONG_BYTES = 10;

/** Maps a signed 32-bit integer to an unsigned one: 0, -1, 1, -2 … become 0, 1, 2, 3 … */
export function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

/** Bytes that an unsigned 32-bit integer takes. */
export function varintBytes(unsigned: number): number {
  if (unsigned < 0x80) return 1;
  if (unsigned < 0x4000) return 2;
  if (unsigned < 0x20_0000) return 3;
  return unsigned < 0x1000_0000 ? 4 : 5;
}

/** Writes an unsigned 32-bit integer; the position after it. */
export function writeVarint(buffer: Uint8Array, position: number, unsigned: number): number {
  let rest = unsigned;
  while (rest > 0x7f) {
    buffer[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[position++] = rest;
  return position;
}

/** Bytes that a signed safe integer takes as a zig-zag varint. */
export function varlongBytes(value: number): number {
  if (value === (value | 0)) return varintBytes(zigzag(value));
  let rest = Math.floor((value < 0 ? -(value + 1) : value) / 64);
  let bytes = 1;
  for (; rest > 0; bytes++) rest = Math.floor(rest / 128);
  return bytes;
}

/** Writes a signed safe integer as a zig-zag varint; the position after it. */
export function writeVarlong(buffer: Uint8Array, position: number, value: number): number {
  if (value === (value | 0)) return writeVarint(buffer, position, zigzag(value));
  // Doubling could leave the safe integers, so the sign bit goes in with the first six bits.
  const magnitude = value < 0 ? -(value + 1) : value;
  let rest = Math.floor(magnitude / 64);
  const first = (magnitude % 64) * 2 + (value < 0 ? 1 : 0);
  buffer[position++] = rest > 0 ? first | 0x80 : first;
  while (rest > 0) {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    buffer[position++] = rest > 0 ? low | 0x80 : low;
  }
  return position;
}

/*
 * Reading takes two functions, one for the value and one for where it ends, which the compiler
 * turns into one: a reader object that keeps the position is five times slower. What is malformed
 * (too long, too large, beyond the buffer) ends at Infinity, which no bound includes.
 */

/** The signed 32-bit integer at a position; anything if it is malformed. */
export function varintAt(bytes: Uint8Array, position: number): number {
  const first = bytes[position] as number;
  if (first < 0x80) return (first >>> 1) ^ -(first & 1);
  const second = bytes[position + 1] as number;
  if (second < 0x80) {
    const unsigned = (first & 0x7f) | (second << 7);
    return (unsigned >>> 1) ^ -(unsigned & 1);
  }
  return longVarintAt(bytes, position);
}

/** Where the 32-bit integer at a position ends; Infinity if it is malformed. */
export function varintEnd(bytes: Uint8Array, position: number): number {
  if ((bytes[position] as number) < 0x80) return position + 1;
  if ((bytes[position + 1] as number) < 0x80) return position + 2;
  const end = endOf(bytes, position, MAX_VARINT_BYTES);
  // The fifth byte has room for the highest four of 32 bits.
  const tooLarge = end - position === MAX_VARINT_BYTES && (bytes[end - 1] as number) > 0x0f;
  return tooLarge ? Infinity : end;
}

/** The signed 64-bit integer at a position, rounded beyond 2^53; anything if it is malformed. */
export function varlongAt(bytes: Uint8Array, position: number): number {
  const first = bytes[position] as number;
  if (first < 0x80) return (first >>> 1) ^ -(first & 1);
  const second = bytes[position + 1] as number;
  if (second < 0x80) {
    const unsigned = (first & 0x7f) | (second << 7);
    return (unsigned >>> 1) ^ -(unsigned & 1);
  }
  return longVarlongAt(bytes, position);
}

/** Where the 64-bit integer at a position ends; Infinity if it is malformed. */
export function varlongEnd(bytes: Uint8Array, position: number): number {
  if ((bytes[position] as number) < 0x80) return position + 1;
  if ((bytes[position + 1] as number) < 0x80) return position + 2;
  const end = endOf(bytes, position, MAX_VARLONG_BYTES);
  const tooLarge = end - position === MAX_VARLONG_BYTES && (bytes[end - 1] as number) > 0x01;
  return tooLarge ? Infinity : end;
}

function longVarintAt(bytes: Uint8Array, position: number): number {
  let unsigned = 0;
  for (let index = 0; index < MAX_VARINT_BYTES; index++) {
    const byte = bytes[position + index] ?? 0;
    unsigned |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) break;
  }
  return (unsigned >>> 1) ^ -(unsigned & 1);
}

function longVarlongAt(bytes: Uint8Array, position: number): number {
  // The lowest bit is the sign, so the magnitude starts with the six bits above it.
  const first = bytes[position] ?? 0;
  let magnitude = (first & 0x7f) >>> 1;
  let byte = first;
  for (let index = 1; index < MAX_VARLONG_BYTES && byte >= 0x80; index++) {
    byte = bytes[position + index] ?? 0;
    magnitude += (byte & 0x7f) * 2 ** (7 * index - 1);
  }
  return (first & 1) === 1 ? -magnitude - 1 : magnitude;
}

function endOf(bytes: Uint8Array, position: number, maxBytes: number): number {
  for (let index = position; index < position + maxBytes; index++) {
    const byte = bytes[index];
    if (byte === undefined) break;
    if (byte < 0x80) return index + 1;
  }
  return Infinity;
}
