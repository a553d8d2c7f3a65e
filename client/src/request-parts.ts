import { toMillraceError } from './errors.js';

/*
 * What is too much for one request goes in several.
 */

/** What fits into one request. */
export interface PartLimits {
  readonly maxItems: number;
  readonly maxBytes: number;
}

/** Topics in one metadata request; partitions of so many fit into the answer, as a rule. */
const MAX_NAMES: PartLimits = { maxItems: 1_000, maxBytes: 512 * 1024 };

/**
 * In as many parts as it takes, in order. One item that is too large by itself is a part, too: it
 * is for whoever sends it to find out.
 */
export function inParts<T>(
  items: readonly T[],
  bytesOf: (item: T) => number,
  { maxItems, maxBytes }: PartLimits,
): T[][] {
  const parts: T[][] = [];
  let part: T[] = [];
  let partBytes = 0;
  for (const item of items) {
    const bytes = bytesOf(item);
    if (part.length === maxItems || (part.length > 0 && partBytes + bytes > maxBytes)) {
      parts.push(part);
      part = [];
      partBytes = 0;
    }
    part.push(item);
    partBytes += bytes;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** Names of topics, in as many parts as it takes to ask for them. */
export function namesInParts(names: readonly string[]): string[][] {
  return inParts(names, (name) => Buffer.byteLength(name), MAX_NAMES);
}

/** Two lists of about the same length. */
export function halvesOf<T>(list: readonly T[]): readonly [T[], T[]] {
  const half = Math.ceil(list.length / 2);
  return [list.slice(0, half), list.slice(half)];
}

/** True when the broker says that the answer would be too large: less at a time may do. */
export function isTooMuch(error: unknown): boolean {
  return toMillraceError(error).code === 'LIMIT_EXCEEDED';
}
