import { createHash } from 'node:crypto';
import { seededRandom } from '../../support/seed.js';

/** sha1 (8 bytes), producer number, partition number, sequence: what comes before the filling. */
const HEAD_BYTES = 20;
const CHECKED_FROM = 8;

/** The smallest value that can say what it is. */
export const MIN_VALUE_BYTES = HEAD_BYTES;

/** Half of it can be compressed. */
const filling = makeFilling(1024 * 1024);

function makeFilling(bytes: number): Buffer {
  const random = seededRandom(1);
  const made = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i += 1) made[i] = i % 64 < 32 ? Math.floor(random() * 256) : i % 7;
  return made;
}

/** What a value says of itself. */
export interface ContentIdentity {
  /** Of `producerName`. */
  readonly producer: number;
  readonly partition: number;
  readonly sequence: number;
}

/** A value that says who made it and where it belongs, with a checksum over all of it. */
export function makeContent(identity: ContentIdentity, valueBytes: number): Buffer {
  const value = Buffer.allocUnsafe(Math.max(valueBytes, HEAD_BYTES));
  value.writeUInt32LE(identity.producer, CHECKED_FROM);
  value.writeUInt32LE(identity.partition, CHECKED_FROM + 4);
  value.writeUInt32LE(identity.sequence, CHECKED_FROM + 8);
  let start = (identity.sequence * 61) % (filling.length / 2);
  for (let at = HEAD_BYTES; at < value.length; start = 0) {
    at += filling.copy(value, at, start);
  }
  checksum(value).copy(value);
  return value;
}

/** How producers of a load are named in a history. */
export function producerName(producer: number): string {
  return `producer${producer}`;
}

/** @returns what the value is, or what is wrong with it */
export function readContent(
  value: Buffer | null,
  partition: number,
): ContentIdentity | { readonly problem: string } {
  if (value === null || value.length < HEAD_BYTES) {
    return { problem: `a value of ${value?.length ?? 0} bytes` };
  }
  if (!checksum(value).equals(value.subarray(0, CHECKED_FROM))) {
    const zeros = value.every((byte) => byte === 0);
    const head = value.subarray(0, 32).toString('hex');
    return {
      problem: zeros
        ? `${value.length} zeros`
        : `a wrong checksum in ${value.length} bytes, ${head}…`,
    };
  }
  const identity = {
    producer: value.readUInt32LE(CHECKED_FROM),
    partition: value.readUInt32LE(CHECKED_FROM + 4),
    sequence: value.readUInt32LE(CHECKED_FROM + 8),
  };
  if (identity.partition === partition) return identity;
  return { problem: `it was made for partition ${identity.partition}` };
}

function checksum(value: Buffer): Buffer {
  return createHash('sha1').update(value.subarray(CHECKED_FROM)).digest().subarray(0, CHECKED_FROM);
}
