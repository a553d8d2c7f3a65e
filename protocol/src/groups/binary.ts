import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '../errors.js';
import { MAX_INT32 } from '../limits.js';

/*
 * Kafka's primitive types as they were before its "flexible" versions (Kafka documentation,
 * "Protocol Primitive Types"), all big-endian:
 *
 *   int16, int32     two's complement
 *   string           int16 length in bytes · UTF-8; a nullable one has length -1 for null
 *   bytes            int32 length · bytes; nullable ones have length -1 for null
 *   array of T       int32 count · T…
 */

/** Reads primitives one after the other; each failure is `INVALID_REQUEST` and names the field. */
export class BinaryReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #position = 0;

  /** @param what is read, for errors. */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  int16(name: string): number {
    return this.#bytes.readInt16BE(this.#take(name, 2));
  }

  int32(name: string, min: number): number {
    const value = this.#bytes.readInt32BE(this.#take(name, 4));
    if (value < min) throw this.fail(`${name} is ${value}, below ${min}`);
    return value;
  }

  string(name: string, maxBytes: number): string {
    const value = this.nullableString(name, maxBytes);
    if (value === null) throw this.fail(`${name} is null`);
    return value;
  }

  nullableString(name: string, maxBytes: number): string | null {
    const length = this.int16(name);
    if (length === -1) return null;
    if (length < 0 || length > maxBytes) {
      throw this.fail(`${name} claims ${length} bytes; it may have ${maxBytes}`);
    }
    const start = this.#take(name, length);
    const bytes = this.#bytes.subarray(start, start + length);
    if (!isUtf8(bytes)) throw this.fail(`${name} is not valid UTF-8`);
    return bytes.toString('utf8');
  }

  /** Shares memory with what is read. */
  nullableBytes(name: string): Buffer | null {
    const length = this.int32(name, -1);
    if (length === -1) return null;
    const start = this.#take(name, length);
    return this.#bytes.subarray(start, start + length);
  }

  /** @param minBytes the least that an item takes, so that no count makes work for nothing. */
  array<T>(name: string, maxCount: number, minBytes: number, read: () => T): T[] {
    const count = this.int32(name, 0);
    if (count > maxCount) throw this.fail(`${name} claims ${count} items; it may have ${maxCount}`);
    const left = this.#bytes.length - this.#position;
    if (count * minBytes > left) {
      throw this.fail(`${name} claims ${count} items, but only ${left} bytes are left`);
    }
    const items: T[] = [];
    for (let index = 0; index < count; index += 1) items.push(read());
    return items;
  }

  /** Refuses bytes after the last field. */
  end(): void {
    const more = this.#bytes.length - this.#position;
    if (more > 0) throw this.fail(`${more} bytes follow its last field`);
  }

  /** The error that the bytes are not what they should be; `problem` ends the sentence. */
  fail(problem: string): ProtocolError {
    const which = `${this.#what} of ${this.#bytes.length} bytes is malformed`;
    return new ProtocolError('INVALID_REQUEST', `${which}: ${problem}`);
  }

  /** The position of the next `length` bytes, which are then behind. */
  #take(name: string, length: number): number {
    const start = this.#position;
    if (start + length > this.#bytes.length) throw this.fail(`it ends within ${name}`);
    this.#position += length;
    return start;
  }
}

/**
 * Writes primitives one after the other. What was written is bounded by the caller; what cannot
 * be written (a string or a count that its length field cannot tell) is `INVALID_REQUEST`.
 */
export class BinaryWriter {
  readonly #what: string;
  #bytes = Buffer.allocUnsafe(256);
  #position = 0;

  /** @param what is written, for errors. */
  constructor(what: string) {
    this.#what = what;
  }

  int16(value: number): void {
    const start = this.#reserve(2);
    this.#bytes.writeInt16BE(value, start);
  }

  int32(name: string, value: number, min: number): void {
    if (!Number.isInteger(value) || value < min || value > MAX_INT32) {
      throw this.#fail(`${name} is ${value}; it must be an integer from ${min} to ${MAX_INT32}`);
    }
    const start = this.#reserve(4);
    this.#bytes.writeInt32BE(value, start);
  }

  string(name: string, value: string | null, maxBytes: number): void {
    if (value === null) {
      this.int16(-1);
      return;
    }
    const length = Buffer.byteLength(value, 'utf8');
    if (length > maxBytes) {
      throw this.#fail(`${name} has ${length} bytes; it may have ${maxBytes}`);
    }
    this.int16(length);
    const start = this.#reserve(length);
    this.#bytes.write(value, start, length, 'utf8');
  }

  nullableBytes(name: string, value: Buffer | null): void {
    this.int32(name, value === null ? -1 : value.length, -1);
    if (value === null) return;
    const start = this.#reserve(value.length);
    value.copy(this.#bytes, start);
  }

  array<T>(name: string, items: readonly T[], maxCount: number, write: (item: T) => void): void {
    if (items.length > maxCount) {
      throw this.#fail(`${name} has ${items.length} items; it may have ${maxCount}`);
    }
    this.int32(name, items.length, 0);
    for (const item of items) write(item);
  }

  /**
   * What was written, in memory of its own.
   *
   * @throws ProtocolError `INVALID_REQUEST` beyond `maxBytes`.
   */
  finish(maxBytes: number): Buffer {
    if (this.#position > maxBytes) {
      throw this.#fail(`it takes ${this.#position} bytes; it may take ${maxBytes}`);
    }
    return Buffer.from(this.#bytes.subarray(0, this.#position));
  }

  /** The position of `length` more bytes, which are then behind. */
  #reserve(length: number): number {
    const start = this.#position;
    const needed = start + length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, start);
      this.#bytes = grown;
    }
    this.#position = needed;
    return start;
  }

  #fail(problem: string): ProtocolError {
    return new ProtocolError('INVALID_REQUEST', `${this.#what} cannot be encoded: ${problem}`);
  }
}
