import { RecordView, type RecordCursor } from '@millrace/protocol';
import {
  excerpt,
  INSPECT,
  readable,
  readableHeaders,
  type Inspect,
  type Readable,
  type ReadableHeaders,
} from '../util/readable.js';

/** Header values by name; of names that occur several times, the last. */
export type ReceivedHeaders = Readonly<Record<string, Buffer | null>>;

/** A message as `JSON.stringify` writes it: bytes as text, or `{ base64 }` where they are none. */
export interface MessageJson {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Readable;
  readonly value: Readable;
  /** A name that occurs several times has an array of its values. */
  readonly headers: ReadableHeaders;
}

/**
 * A message as it was received. Key, value and header values are views of the fetched bytes: they
 * stay valid as long as they are held, and keep the whole response in memory for that long. Copy
 * what is to be kept.
 */
export class Message {
  readonly topic: string;
  readonly partition: number;
  readonly #record: RecordView;

  /** Takes what the cursor stands on; the cursor may move on. */
  constructor(topic: string, partition: number, cursor: RecordCursor) {
    this.topic = topic;
    this.partition = partition;
    this.#record = new RecordView(cursor);
  }

  get offset(): number {
    return this.#record.offset;
  }

  /** Unix time in ms; -1 = none. */
  get timestampMs(): number {
    return this.#record.timestampMs;
  }

  get key(): Buffer | null {
    return this.#record.key;
  }

  /** null is a tombstone. */
  get value(): Buffer | null {
    return this.#record.value;
  }

  get headers(): ReceivedHeaders {
    const headers = Object.create(null) as Record<string, Buffer | null>;
    for (const [name, value] of this.#record.headers) headers[name] = value;
    return headers;
  }

  /** Every header in order, also where names repeat. */
  get headerEntries(): readonly (readonly [string, Buffer | null])[] {
    return this.#record.headers;
  }

  /** The value as UTF-8 text; null for a tombstone. */
  text(): string | null {
    return this.value?.toString('utf8') ?? null;
  }

  /**
   * The value parsed as JSON; null for a tombstone.
   *
   * @throws SyntaxError when it is not JSON.
   */
  json(): unknown {
    const text = this.text();
    return text === null ? null : (JSON.parse(text) as unknown);
  }

  /** Everything of the message, for `JSON.stringify`. */
  toJSON(): MessageJson {
    const { topic, partition, offset, timestampMs, key, value } = this;
    const headers = readableHeaders(this.headerEntries);
    const shown = { key: readable(key), value: readable(value), headers };
    return { topic, partition, offset, timestampMs, ...shown };
  }

  /** As {@link toJSON}, for `console.log`, with long values cut. */
  [INSPECT](depth: number, options: object, inspect: Inspect): string {
    if (depth < 0) return '[Message]';
    const { topic, partition, offset, timestampMs, key, value } = this;
    const headers = readableHeaders(this.headerEntries, excerpt);
    const shown = { key: excerpt(key), value: excerpt(value), headers };
    return `Message ${inspect({ topic, partition, offset, timestampMs, ...shown }, options)}`;
  }
}
