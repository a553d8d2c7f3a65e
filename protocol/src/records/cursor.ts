import { ProtocolError } from '../errors.js';
import { viewOf } from './buffer-view.js';
import { attribute, type BatchHeader } from './layout.js';
import { readHeaders } from './record-headers.js';
import { varintAt, varintEnd, varlongAt, varlongEnd } from './varint.js';

/**
 * Walks over the records of one batch without making an object for each: after `next()` returned
 * true the fields describe the record it stands on.
 *
 * ```text
 * record: length varint · attributes i8 · timestampDelta varlong · offsetDelta varint
 *         keyLength varint (-1: null) · key · valueLength varint (-1: null) · value
 *         headerCount varint · headers: nameLength varint · name (UTF-8) · valueLength · value
 * ```
 */
export class RecordCursor {
  /** Absolute offset of the record. */
  offset = -1;
  /** Milliseconds since 1970, -1 for none. */
  timestampMs = -1;
  /** Positions in `bytes`; a length of -1 stands for null. */
  keyStart = 0;
  keyLength = -1;
  valueStart = 0;
  valueLength = -1;
  headersStart = 0;
  headerCount = 0;
  /** What the positions refer to: the received buffer, or the decompressed records. */
  readonly bytes: Buffer;

  readonly #start: number;
  readonly #end: number;
  readonly #baseOffset: number;
  readonly #baseTimestampMs: number;
  /** ≥ -1 where the broker's append time stands for the timestamp of every record. */
  readonly #appendTimeMs: number;
  readonly #count: number;
  readonly #lastOffsetDelta: number;
  #read = 0;
  #offsetDelta = -1;
  #position: number;

  /** @param start to `end`: where the (uncompressed) records lie in `bytes`. */
  constructor(header: BatchHeader, bytes: Buffer, start: number, end: number) {
    this.bytes = bytes;
    this.#start = start;
    this.#position = start;
    this.#end = end;
    this.#baseOffset = header.baseOffset;
    this.#baseTimestampMs = header.baseTimestampMs;
    const appendTime = (header.attributes & attribute.logAppendTime) !== 0;
    this.#appendTimeMs = appendTime ? header.maxTimestampMs : -2;
    this.#count = header.recordCount;
    this.#lastOffsetDelta = header.lastOffsetDelta;
  }

  /**
   * Moves to the next record; false after the last.
   *
   * @throws ProtocolError CORRUPT_MESSAGE for a malformed record, or when bytes are left over.
   */
  next(): boolean {
    if (this.#read >= this.#count) {
      if (this.#position !== this.#end) this.#fail('has bytes after its last record');
      return false;
    }
    const { bytes } = this;
    // A local position and no method calls: the fields are only written once all is known.
    let position = this.#position;
    const length = varintAt(bytes, position);
    position = varintEnd(bytes, position);
    const end = position + length;
    if (!(length > 0 && end <= this.#end)) this.#fail(`claims a length of ${length} bytes`);
    position++; // the attributes of a record: none are defined
    const timestampDelta = varlongAt(bytes, position);
    position = varlongEnd(bytes, position);
    const offsetDelta = varintAt(bytes, position);
    position = varintEnd(bytes, position);

    const keyLength = varintAt(bytes, position);
    const keyStart = varintEnd(bytes, position);
    position = keyLength > 0 ? keyStart + keyLength : keyStart;
    if (!(position <= end && keyLength >= -1)) this.#fail(`claims a key of ${keyLength} bytes`);

    const valueLength = varintAt(bytes, position);
    const valueStart = varintEnd(bytes, position);
    position = valueLength > 0 ? valueStart + valueLength : valueStart;
    const valueFits = position <= end && valueLength >= -1;
    if (!valueFits) this.#fail(`claims a value of ${valueLength} bytes`);

    if (position + 1 === end && bytes[position] === 0) this.headerCount = 0;
    else this.#walkHeaders(position, end);
    if (offsetDelta <= this.#offsetDelta || offsetDelta > this.#lastOffsetDelta) {
      this.#fail(`has offset delta ${offsetDelta}, out of order`);
    }

    this.keyStart = keyStart;
    this.keyLength = keyLength;
    this.valueStart = valueStart;
    this.valueLength = valueLength;
    this.offset = this.#baseOffset + offsetDelta;
    this.timestampMs = this.#timestamp(timestampDelta);
    this.#offsetDelta = offsetDelta;
    this.#position = end;
    this.#read++;
    return true;
  }

  /**
   * Where the record that the cursor stands on ends in `bytes`, and so where the next one begins:
   * before the first `next()` where the records begin.
   */
  get recordEnd(): number {
    return this.#position;
  }

  /** The key as a view of the batch's bytes. */
  key(): Buffer | null {
    return this.keyLength < 0 ? null : viewOf(this.bytes, this.keyStart, this.keyLength);
  }

  /** The value as a view of the batch's bytes; null is a tombstone. */
  value(): Buffer | null {
    return this.valueLength < 0 ? null : viewOf(this.bytes, this.valueStart, this.valueLength);
  }

  headers(): readonly (readonly [string, Buffer | null])[] {
    return readHeaders(this.bytes, this.headersStart, this.headerCount);
  }

  #timestamp(delta: number): number {
    if (this.#appendTimeMs >= -1) return this.#appendTimeMs;
    const timestampMs = this.#baseTimestampMs + delta;
    if (!Number.isSafeInteger(timestampMs)) this.#fail('has a timestamp that is no safe integer');
    return timestampMs;
  }

  /** Checks that the headers fill the rest of the record, and notes where they are. */
  #walkHeaders(start: number, end: number): void {
    const { bytes } = this;
    const count = varintAt(bytes, start);
    let position = varintEnd(bytes, start);
    if (!(count >= 0 && position <= end)) this.#fail(`claims ${count} headers`);
    this.headersStart = position;
    this.headerCount = count;
    for (let index = 0; index < count; index++) {
      const nameLength = varintAt(bytes, position);
      position = varintEnd(bytes, position) + nameLength;
      const nameFits = nameLength >= 0 && position <= end;
      if (!nameFits) this.#fail(`has a header with a name of ${nameLength} bytes`);
      const valueLength = varintAt(bytes, position);
      position = varintEnd(bytes, position) + Math.max(valueLength, 0);
      const valueFits = valueLength >= -1 && position <= end;
      if (!valueFits) this.#fail(`has a header with a value of ${valueLength} bytes`);
    }
    if (position !== end) this.#fail('does not end where its length says');
  }

  #fail(what: string): never {
    throw new ProtocolError(
      'CORRUPT_MESSAGE',
      `Record batch at base offset ${this.#baseOffset}: record ${this.#read} of ${this.#count}, ` +
        `at byte ${this.#position - this.#start} of its records, ${what}`,
    );
  }
}
