import { viewOf } from './buffer-view.js';
import type { RecordCursor } from './cursor.js';
import { readHeaders } from './record-headers.js';

/** The headers of a record: names and values, in order, names not necessarily unique. */
export type RecordHeaders = readonly (readonly [string, Uint8Array | null])[];

/** A record to be written. */
export interface RecordInput {
  /** Default: no key. */
  readonly key?: Uint8Array | null;
  /** null is a tombstone: compaction takes it as the deletion of the key. */
  readonly value: Uint8Array | null;
  readonly headers?: RecordHeaders;
  /** Milliseconds since 1970, -1 for none. */
  readonly timestampMs: number;
}

/**
 * One record of a received batch. Key, value and header values are views of the batch's bytes,
 * made when asked for: they stay valid, and keep those bytes in memory, as long as they are held.
 */
export class RecordView {
  readonly offset: number;
  /** Milliseconds since 1970, -1 for none. */
  readonly timestampMs: number;
  readonly #bytes: Buffer;
  readonly #keyStart: number;
  readonly #keyLength: number;
  readonly #valueStart: number;
  readonly #valueLength: number;
  readonly #headersStart: number;
  readonly #headerCount: number;

  /** Takes what the cursor stands on; the cursor may move on. */
  constructor(cursor: RecordCursor) {
    this.offset = cursor.offset;
    this.timestampMs = cursor.timestampMs;
    this.#bytes = cursor.bytes;
    this.#keyStart = cursor.keyStart;
    this.#keyLength = cursor.keyLength;
    this.#valueStart = cursor.valueStart;
    this.#valueLength = cursor.valueLength;
    this.#headersStart = cursor.headersStart;
    this.#headerCount = cursor.headerCount;
  }

  get key(): Buffer | null {
    return this.#keyLength < 0 ? null : viewOf(this.#bytes, this.#keyStart, this.#keyLength);
  }

  get value(): Buffer | null {
    return this.#valueLength < 0 ? null : viewOf(this.#bytes, this.#valueStart, this.#valueLength);
  }

  get headers(): readonly (readonly [string, Buffer | null])[] {
    return readHeaders(this.#bytes, this.#headersStart, this.#headerCount);
  }
}
