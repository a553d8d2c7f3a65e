import { varintBytes, writeVarint, zigzag } from './varint.js';

/** Bytes, or text that is written as UTF-8; null is null on the wire. */
export type RecordBytes = Uint8Array | string | null;
/** Names and values, in order. */
export type RecordHeadersInput = readonly (readonly [string, RecordBytes])[];

/** A UTF-16 code unit takes at most this much in UTF-8. */
const MAX_UTF8_BYTES = 3;
/** Longer text is measured before it is written, so as not to reserve three times its length. */
const GUESSED_CHARACTERS = 1024;

/** An upper bound of what it takes, without looking at text. */
export function maxBytes(bytes: RecordBytes): number {
  if (bytes === null) return 0;
  return typeof bytes === 'string' ? bytes.length * MAX_UTF8_BYTES : bytes.length;
}

/** Bytes to have free before writing: a guess of short text may be wrong, the rest is exact. */
export function room(bytes: RecordBytes, length: number): number {
  if (typeof bytes !== 'string' || bytes.length > GUESSED_CHARACTERS) return Math.max(length, 0);
  return bytes.length * MAX_UTF8_BYTES;
}

/** What it takes, short text being taken for ASCII; -1 for null. */
export function guessBytes(bytes: RecordBytes): number {
  if (bytes === null) return -1;
  if (typeof bytes !== 'string' || bytes.length <= GUESSED_CHARACTERS) return bytes.length;
  return Buffer.byteLength(bytes);
}

/** What it takes; -1 for null. */
export function exactBytes(bytes: RecordBytes): number {
  if (bytes === null) return -1;
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;
}

/** What the headers take, without their count. */
export function measureHeaders(headers: RecordHeadersInput): number {
  let total = 0;
  for (const [name, value] of headers) {
    const nameBytes = Buffer.byteLength(name);
    const valueBytes = exactBytes(value);
    total += varintBytes(zigzag(nameBytes)) + nameBytes;
    total += varintBytes(zigzag(valueBytes)) + Math.max(valueBytes, 0);
  }
  return total;
}

/** False when text does not take the bytes that were said. */
export function writeBytes(
  buffer: Buffer,
  position: number,
  bytes: RecordBytes,
  length: number,
): boolean {
  if (typeof bytes === 'string') return buffer.write(bytes, position) === length;
  if (bytes !== null) buffer.set(bytes, position);
  return true;
}

/** Writes the headers without their count; the position after them. */
export function writeHeaders(buffer: Buffer, start: number, headers: RecordHeadersInput): number {
  let position = start;
  for (const [name, value] of headers) {
    const nameBytes = Buffer.byteLength(name);
    position = writeVarint(buffer, position, zigzag(nameBytes));
    buffer.write(name, position);
    position += nameBytes;
    const valueBytes = exactBytes(value);
    position = writeVarint(buffer, position, zigzag(valueBytes));
    writeBytes(buffer, position, value, valueBytes);
    position += Math.max(valueBytes, 0);
  }
  return position;
}
