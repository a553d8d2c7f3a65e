const HIGH = 0x1_0000_0000;

/** A signed 64-bit integer as a number; beyond 2^53 it is rounded, so check that it is safe. */
export function int64At(bytes: Buffer, position: number): number {
  return bytes.readInt32BE(position) * HIGH + bytes.readUInt32BE(position + 4);
}

/** Text out of UTF-8; undefined for bytes that are none, which would not be stored again as they are. */
export function textAt(bytes: Buffer, start: number, end: number): string | undefined {
  const decoded = bytes.toString('utf8', start, end);
  if (!decoded.includes('\ufffd')) return decoded;
  return Buffer.from(decoded).equals(bytes.subarray(start, end)) ? decoded : undefined;
}

/**
 * Reads fields one after the other from a stretch of bytes. What does not fit sets `problem`, and
 * every later field is empty: who reads looks once, at the end.
 */
export class StoredFields {
  /** What is wrong, with the name of the first field that is. */
  problem: string | undefined;
  #position: number;

  constructor(
    private readonly bytes: Buffer,
    start: number,
    private readonly end: number,
  ) {
    this.#position = start;
  }

  int32(name: string, min: number): number {
    const at = this.#take(name, 4);
    if (at < 0) return min;
    const value = this.bytes.readInt32BE(at);
    if (value < min) this.fail(`${name} is ${value}`);
    return value;
  }

  int64(name: string, min: number): number {
    const at = this.#take(name, 8);
    if (at < 0) return min;
    const value = int64At(this.bytes, at);
    if (value < min || !Number.isSafeInteger(value)) this.fail(`${name} is ${value}`);
    return value;
  }

  text(name: string): string {
    const value = this.nullableText(name);
    if (value === null) this.fail(`${name} is null`);
    return value ?? '';
  }

  nullableText(name: string): string | null {
    const at = this.#take(name, 2);
    const length = at < 0 ? 0 : this.bytes.readInt16BE(at);
    if (length === -1) return null;
    if (length < 0) this.fail(`${name} has a length of ${length}`);
    const start = this.#take(name, length);
    if (start < 0) return '';
    const value = textAt(this.bytes, start, start + length);
    if (value === undefined) this.fail(`${name} is not UTF-8`);
    return value ?? '';
  }

  /** A copy: what was read from may be written over. */
  blob(name: string): Buffer {
    const length = this.int32(name, 0);
    const start = this.#take(name, length);
    return start < 0 ? Buffer.alloc(0) : Buffer.from(this.bytes.subarray(start, start + length));
  }

  /** How many rows follow, each of at least `minBytes`. */
  count(name: string, minBytes: number): number {
    const count = this.int32(name, 0);
    if (count * minBytes <= this.end - this.#position) return count;
    this.fail(`${name} claims ${count}`);
    return 0;
  }

  finish(): void {
    const left = this.end - this.#position;
    if (left !== 0) this.fail(`${left} bytes are left over`);
  }

  fail(problem: string): void {
    this.problem ??= problem;
  }

  /** Where the next `length` bytes begin; -1 when they are not there. */
  #take(name: string, length: number): number {
    if (this.problem !== undefined) return -1;
    const start = this.#position;
    if (length > this.end - start) {
      this.fail(`it ends within ${name}`);
      return -1;
    }
    this.#position = start + length;
    return start;
  }
}
