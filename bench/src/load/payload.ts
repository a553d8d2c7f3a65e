import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { seededRandom } from '../util/random.js';
import type { PayloadSpec } from './spec.js';

/** Messages are made before the load and sent round and round; so many bytes of them, or … */
const POOL_BYTES = 4 * 2 ** 20;
/** … so many, whatever is less. */
const POOL_MESSAGES = 16_384;
/** Sizes are the same in every run. */
const SIZE_SEED = 1;

const JSON_HEAD = '{"sentUs":"';
const JSON_STAMP_DIGITS = 16;
const JSON_REST = '","kind":"order","id":"';
const JSON_TAIL = '"}';
/** The smallest message that can carry a time. */
const BINARY_STAMP_BYTES = 8;
const MIN_JSON_BYTES = JSON_HEAD.length + JSON_STAMP_DIGITS + JSON_REST.length + JSON_TAIL.length;

/** Bytes that a message of this kind has at least. */
export function smallestPayload(kind: PayloadSpec['kind'], stamped: boolean): number {
  if (kind === 'json') return MIN_JSON_BYTES;
  return stamped ? BINARY_STAMP_BYTES : 0;
}

/** How the time of sending is written into a message: it takes the place of its first bytes. */
export interface Stamp {
  write(value: Buffer, monotonicMs: number): void;
  /** NaN where there is none. */
  read(value: Buffer): number;
}

const binaryStamp: Stamp = {
  write: (value, ms) => void value.writeDoubleLE(ms, 0),
  read: (value) => (value.length < BINARY_STAMP_BYTES ? NaN : value.readDoubleLE(0)),
};

const jsonStamp: Stamp = {
  write: (value, ms) => {
    const micros = Math.round(ms * 1_000).toString();
    value.write(micros.padStart(JSON_STAMP_DIGITS, '0'), JSON_HEAD.length, 'latin1');
  },
  read: (value) =>
    Number(value.toString('latin1', JSON_HEAD.length, JSON_HEAD.length + JSON_STAMP_DIGITS)) /
    1_000,
};

export function stampOf(kind: PayloadSpec['kind']): Stamp {
  return kind === 'json' ? jsonStamp : binaryStamp;
}

/**
 * The messages of a load.
 *
 * @throws Error when the file cannot be read or is empty.
 */
export function makePayloads(spec: PayloadSpec): readonly Buffer[] {
  const random = seededRandom(SIZE_SEED);
  const content = contentOf(spec);
  const payloads: Buffer[] = [];
  let bytes = 0;
  while (payloads.length === 0 || (bytes < POOL_BYTES && payloads.length < POOL_MESSAGES)) {
    const size = spec.minBytes + Math.floor(random() * (spec.maxBytes - spec.minBytes + 1));
    const payload = content(size, payloads.length);
    payloads.push(payload);
    bytes += payload.length;
  }
  return payloads;
}

function contentOf(spec: PayloadSpec): (size: number, index: number) => Buffer {
  switch (spec.kind) {
    case 'zeros':
      return (size) => Buffer.alloc(size);
    case 'random':
      return (size) => randomFillSync(Buffer.allocUnsafe(size));
    case 'json':
      return jsonMessage;
    case 'file':
      return fileParts(spec.file ?? '');
  }
}

/** Text as services write it: numbered, and filled up with words that compress as words do. */
function jsonMessage(size: number, index: number): Buffer {
  const room = Math.max(0, size - MIN_JSON_BYTES);
  const words = `${index} customer ${(index * 7919) % 9973} ordered ${index % 13} of item `;
  const text = words.repeat(Math.ceil(room / words.length)).slice(0, room);
  const zeros = '0'.repeat(JSON_STAMP_DIGITS);
  return Buffer.from(`${JSON_HEAD}${zeros}${JSON_REST}${text}${JSON_TAIL}`, 'latin1');
}

function fileParts(path: string): (size: number) => Buffer {
  const file = readFileSync(path);
  if (file.length === 0) throw new Error(`the payload file ${path} is empty`);
  let position = 0;
  return (size) => {
    const part = Buffer.alloc(size);
    for (let filled = 0; filled < size;) {
      filled += file.copy(part, filled, position, position + size - filled);
      position = (position + size) % file.length;
      if (filled < size) position = 0;
    }
    return part;
  };
}
