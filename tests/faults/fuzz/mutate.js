/*
 * Mutations of valid bytes. A seed is `{ bytes, points }`: points are positions where something begins
 * that decides about the rest (a length, a type, a count), which are hit more often than others.
 */

const MAX_INPUT_BYTES = 64 * 1024;

/** Numbers at which comparisons and lengths go wrong. */
const EXTREMES = [
  ...[0, 1, 2, -1, -2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000],
  ...[0x7fffffff, 0x80000000, 0xffffffff, 0x7ffffffe, 0x10000000, 61, 49, 48, 12],
];

/** Type bytes of msgpack that declare something large, or are refused; and ends of varints. */
const BYTES = [
  ...[0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc3, 0xc4, 0xc5, 0xc6],
  ...[0xc7, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd3, 0xd4, 0xd8, 0xd9, 0xda, 0xdb],
  ...[0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xfe, 0xff],
];

/** Some of the seed's bytes changed; never in place. */
export function mutate(random, seed, others) {
  let bytes = Buffer.from(seed.bytes);
  const rounds = 1 + random.int(random.chance(0.15) ? 12 : 3);
  for (let round = 0; round < rounds; round += 1) {
    bytes = random.pick(mutations)(random, bytes, seed, others);
  }
  return bytes.length > MAX_INPUT_BYTES ? bytes.subarray(0, MAX_INPUT_BYTES) : bytes;
}

function position(random, bytes, { points }) {
  if (points.length > 0 && random.chance(0.5)) {
    const point = random.pick(points);
    if (point < bytes.length) return point;
  }
  return random.int(bytes.length + 1);
}

function flipBit(random, bytes, seed) {
  const at = position(random, bytes, seed);
  if (at < bytes.length) bytes[at] ^= 1 << random.int(8);
  return bytes;
}

function setByte(random, bytes, seed) {
  const at = position(random, bytes, seed);
  if (at < bytes.length) bytes[at] = random.chance(0.7) ? random.pick(BYTES) : random.int(256);
  return bytes;
}

/** A field of 2, 4 or 8 bytes, of either byte order, becomes an extreme or what the length is. */
function setNumber(random, bytes, seed) {
  const at = position(random, bytes, seed);
  const near = bytes.length + random.int(9) - 4;
  const back = -1 - random.int(24);
  const value = random.chance(0.3) ? random.pick([near, back]) : random.pick(EXTREMES);
  const width = random.pick([2, 4, 4, 4, 8]);
  if (at + width > bytes.length) return bytes;
  if (width === 2) bytes.writeUInt16BE(value & 0xffff, at);
  else if (width === 4 && random.chance(0.8)) bytes.writeUInt32BE(value >>> 0, at);
  else if (width === 4) bytes.writeUInt32LE(value >>> 0, at);
  else bytes.writeBigInt64BE(random.chance(0.5) ? BigInt(value) : 2n ** 53n + BigInt(value), at);
  return bytes;
}

function truncate(random, bytes, seed) {
  return bytes.subarray(0, position(random, bytes, seed));
}

function append(random, bytes) {
  const more = Buffer.alloc(1 + random.int(random.chance(0.1) ? 4096 : 16), random.int(256));
  return Buffer.concat([bytes, more]);
}

function remove(random, bytes, seed) {
  const at = position(random, bytes, seed);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.int(16))]);
}

/** A stretch comes twice, or many times: counts and nesting grow. */
function repeat(random, bytes, seed) {
  const at = position(random, bytes, seed);
  const piece = bytes.subarray(at, at + 1 + random.int(32));
  const times = random.chance(0.1) ? random.int(500) : 1 + random.int(4);
  const copies = Array.from({ length: times }, () => piece);
  return Buffer.concat([bytes.subarray(0, at), ...copies, bytes.subarray(at)]);
}

function splice(random, bytes, seed, others) {
  const other = random.pick(others);
  const from = position(random, other.bytes, other);
  const at = position(random, bytes, seed);
  return Buffer.concat([bytes.subarray(0, at), other.bytes.subarray(from)]);
}

function zero(random, bytes, seed) {
  const at = position(random, bytes, seed);
  bytes.fill(0, at, Math.min(bytes.length, at + 1 + random.int(64)));
  return bytes;
}

const mutations = [
  ...[flipBit, flipBit, setByte, setByte, setNumber, setNumber, setNumber],
  ...[truncate, append, remove, repeat, splice, zero],
];
