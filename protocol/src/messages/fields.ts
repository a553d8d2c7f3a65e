import { ProtocolError } from '../errors.js';
import { MAX_STRING_LENGTH } from '../limits.js';
import { isTopicId, NO_TOPIC_ID } from './names.js';

/** Decodes one row of a list. */
export type RowDecoder<T> = (row: FieldReader) => T;

/**
 * Reads the fields of a message one after the other and checks each one's type and range. Every
 * method throws a ProtocolError `INVALID_REQUEST` that names the field and what it holds, such as
 * `produce.entries[3].partition: expected an integer from 0 to 2147483647, got "x"`.
 */
export class FieldReader {
  #values: readonly unknown[];
  #next = 0;
  readonly #name: string;
  readonly #parent: FieldReader | undefined;
  #row = 0;

  /** @param name of the message, for errors. */
  constructor(values: readonly unknown[], name: string, parent?: FieldReader) {
    this.#values = values;
    this.#name = name;
    this.#parent = parent;
  }

  /** An integer from `min` to `max`, both safe integers; a float64 of -0 counts as 0. */
  integer(name: string, min: number, max: number): number {
    const value = this.#values[this.#next];
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      this.#next += 1;
      return (value as number) + 0;
    }
    throw this.#unexpected(name, `an integer from ${min} to ${max}`);
  }

  /** A string of at most `maxLength` UTF-16 code units; default `MAX_STRING_LENGTH`. */
  string(name: string, maxLength: number = MAX_STRING_LENGTH): string {
    const value = this.#values[this.#next];
    if (typeof value === 'string' && value.length <= maxLength) {
      this.#next += 1;
      return value;
    }
    throw this.#unexpected(name, `a string of at most ${maxLength} characters`);
  }

  /** Like {@link string}, or null. */
  nullableString(name: string, maxLength: number = MAX_STRING_LENGTH): string | null {
    const value = this.#values[this.#next];
    if (value === null || (typeof value === 'string' && value.length <= maxLength)) {
      this.#next += 1;
      return value;
    }
    throw this.#unexpected(name, `null or a string of at most ${maxLength} characters`);
  }

  /** One of a few strings. */
  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.#values[this.#next];
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw this.#unexpected(name, `one of ${choices.join(', ')}`);
    this.#next += 1;
    return found;
  }

  /** A boolean, which travels as 0 or 1. */
  flag(name: string): boolean {
    return this.integer(name, 0, 1) === 1;
  }

  /** A topic id: 32 lower-case hexadecimal digits. */
  topicId(name: string): string {
    const value = this.#values[this.#next];
    if (isTopicId(value)) {
      this.#next += 1;
      return value;
    }
    throw this.#unexpected(name, 'a topic id of 32 lower-case hexadecimal digits');
  }

  /** Like {@link topicId}, or `NO_TOPIC_ID` where there is no topic to name. */
  optionalTopicId(name: string): string {
    const value = this.#values[this.#next];
    if (value === NO_TOPIC_ID || isTopicId(value)) {
      this.#next += 1;
      return value;
    }
    throw this.#unexpected(name, 'an empty string or a topic id of 32 lower-case hex digits');
  }

  /** Binary data of at most `maxBytes` bytes. */
  bytes(name: string, maxBytes: number): Buffer {
    const value = this.#values[this.#next];
    if (Buffer.isBuffer(value) && value.length <= maxBytes) {
      this.#next += 1;
      return value;
    }
    throw this.#unexpected(name, `at most ${maxBytes} bytes of binary data`);
  }

  /** A list of at most `maxRows` rows, each an array of its own. */
  rows<T>(name: string, maxRows: number, decode: RowDecoder<T>): T[] {
    const values = this.#list(name, maxRows, 'rows');
    const row = new FieldReader([], name, this);
    const decoded: T[] = [];
    for (let index = 0; index < values.length; index += 1) {
      row.#enter(values[index], index);
      decoded.push(decode(row));
      row.end();
    }
    return decoded;
  }

  /** Like {@link rows}, or null. */
  nullableRows<T>(name: string, maxRows: number, decode: RowDecoder<T>): T[] | null {
    if (this.#values[this.#next] !== null) return this.rows(name, maxRows, decode);
    this.#next += 1;
    return null;
  }

  /**
   * A list of `width` × n scalars that stand for n rows, which takes fewer bytes and values.
   *
   * @param maxRows the largest n.
   */
  flatRows<T>(name: string, width: number, maxRows: number, decode: RowDecoder<T>): T[] {
    const values = this.#list(name, maxRows * width, 'values');
    if (values.length % width !== 0) {
      this.#next -= 1;
      throw this.#unexpected(name, `a list of ${width} values for each row`);
    }
    const flat = new FieldReader(values, name, this);
    const decoded: T[] = [];
    while (flat.#next < values.length) {
      flat.#row = flat.#next / width;
      decoded.push(decode(flat));
    }
    return decoded;
  }

  /** A list of at most `maxLength` strings. */
  strings(name: string, maxLength: number): string[] {
    const values = this.#list(name, maxLength, 'strings');
    for (const [index, value] of values.entries()) {
      if (typeof value === 'string' && value.length <= MAX_STRING_LENGTH) continue;
      throw invalid(
        `${this.#path()}.${name}[${index}]`,
        `a string of at most ${MAX_STRING_LENGTH} characters`,
        describe(value),
      );
    }
    return values as string[];
  }

  /** Like {@link strings}, or null. */
  nullableStrings(name: string, maxLength: number): string[] | null {
    if (this.#values[this.#next] !== null) return this.strings(name, maxLength);
    this.#next += 1;
    return null;
  }

  /** Refuses fields after the last one: a message version has exactly its fields. */
  end(): void {
    const more = this.#values.length - this.#next;
    if (more === 0) return;
    throw new ProtocolError(
      'INVALID_REQUEST',
      `${this.#path()}: ${more} more field${more === 1 ? '' : 's'} than the ${this.#next} expected`,
    );
  }

  #list(name: string, max: number, what: string): readonly unknown[] {
    const value = this.#values[this.#next];
    if (!Array.isArray(value) || value.length > max) {
      throw this.#unexpected(name, `a list of at most ${max} ${what}`);
    }
    this.#next += 1;
    return value as readonly unknown[];
  }

  #enter(value: unknown, index: number): void {
    this.#row = index;
    this.#next = 0;
    if (!Array.isArray(value)) throw invalid(this.#path(), 'a row of fields', describe(value));
    this.#values = value as readonly unknown[];
  }

  #path(): string {
    if (this.#parent === undefined) return this.#name;
    return `${this.#parent.#path()}.${this.#name}[${this.#row}]`;
  }

  #unexpected(name: string, expected: string): ProtocolError {
    const missing = this.#next >= this.#values.length;
    const found = missing
      ? `nothing: only ${this.#values.length} fields are there`
      : describe(this.#values[this.#next]);
    return invalid(`${this.#path()}.${name}`, expected, found);
  }
}

function invalid(path: string, expected: string, found: string): ProtocolError {
  return new ProtocolError('INVALID_REQUEST', `${path}: expected ${expected}, got ${found}`);
}

/** A value in a few words: what is shown of a string is bounded. */
function describe(value: unknown): string {
  if (typeof value === 'string') {
    if (value.length <= 40) return JSON.stringify(value);
    return `${JSON.stringify(value.slice(0, 40))}… (${value.length} characters)`;
  }
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (Buffer.isBuffer(value)) return `${value.length} bytes`;
  return String(value);
}
