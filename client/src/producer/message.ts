import type { RecordHeadersInput } from '@millrace/protocol';
import { InvalidArgumentError, MessageTooLargeError } from '../errors.js';
import { quoted } from '../util/text.js';

/** Name and value of a header; strings travel as UTF-8. */
export type MessageHeader = readonly [name: string, value: string | Uint8Array | null];

/** Headers of a message: by name, or a list of pairs, in which names may repeat. */
export type MessageHeaders =
  Readonly<Record<string, string | Uint8Array | null>> | readonly MessageHeader[];

/** A message to produce. The producer copies the bytes before the call returns. */
export interface ProducerMessage {
  /** Messages with one key keep their order; they all go to one partition. */
  readonly key?: string | Uint8Array | null | undefined;
  /** null is a tombstone. */
  readonly value: string | Uint8Array | null;
  readonly headers?: MessageHeaders | undefined;
  /** Overrides what the partitioner would choose. */
  readonly partition?: number | undefined;
  /** Unix time in ms; default now. */
  readonly timestampMs?: number | undefined;
}

/** Where a message was stored. */
export interface RecordMetadata {
  readonly topic: string;
  readonly partition: number;
  /** -1 where the broker does not say: with `acks: 0`, or for a repeat that it no longer remembers. */
  readonly offset: number;
  /** The broker's append time (Unix, ms); only there for topics that stamp it. */
  readonly timestampMs?: number | undefined;
}

/** A message taken apart and checked. */
export interface CheckedMessage {
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly headers: RecordHeadersInput | null;
  readonly partition: number | undefined;
  readonly timestampMs: number;
}

/** Record length, attributes, timestamp, offset, two lengths and the header count, at most. */
const RECORD_OVERHEAD_BYTES = 36;
const HEADER_OVERHEAD_BYTES = 10;
/** Longer text is measured, shorter text taken at three bytes for each UTF-16 unit. */
const MEASURED_UNITS = 256;

/**
 * Upper bound of what a message adds to a batch, in bytes; cheap.
 */
export function estimateBytes(
  key: string | Uint8Array | null,
  value: string | Uint8Array | null,
  headers: RecordHeadersInput | null,
): number {
  let bytes = RECORD_OVERHEAD_BYTES + boundOf(key) + boundOf(value);
  if (headers === null) return bytes;
  for (const [name, content] of headers) {
    bytes += HEADER_OVERHEAD_BYTES + boundOf(name) + boundOf(content);
  }
  return bytes;
}

/** Key, value and headers themselves, in bytes. */
function contentBytes({ key, value, headers }: CheckedMessage): number {
  let bytes = lengthOf(key) + lengthOf(value);
  for (const [name, content] of headers ?? []) bytes += lengthOf(name) + lengthOf(content);
  return bytes;
}

/**
 * Takes a message apart.
 *
 * @throws InvalidArgumentError that names the field, MessageTooLargeError
 */
export function checkMessage(
  topic: string,
  message: ProducerMessage,
  maxMessageBytes: number,
): CheckedMessage {
  checkShape(topic, message);
  const { key = null, value, partition, timestampMs } = message;
  checkBytes('value', value);
  checkBytes('key', key);
  const headers = message.headers === undefined ? null : checkHeaders(message.headers);
  const checked = {
    key,
    value,
    headers,
    partition,
    timestampMs: timestampMs === undefined ? Date.now() : checkTimestamp(timestampMs),
  };
  const suspect = estimateBytes(key, value, headers) > maxMessageBytes;
  if (suspect && contentBytes(checked) > maxMessageBytes) {
    throw new MessageTooLargeError(
      `A message of ${contentBytes(checked)} bytes for ${quoted(topic)} is larger than ` +
        `maxMessageBytes (${maxMessageBytes})`,
      { topic },
    );
  }
  return checked;
}

/** For those who come without types, or from other clients. @throws InvalidArgumentError */
function checkShape(topic: unknown, message: unknown): void {
  const isTopic = typeof topic === 'string' && topic !== '';
  if (isTopic && typeof message === 'object' && message !== null) return;
  const what = isTopic ? 'message' : 'topic';
  const given = isTopic ? message : topic;
  throw new InvalidArgumentError(
    `A message is sent by a topic's name and { value, key?, headers? }: the ${what} is ` +
      (given === '' ? 'empty' : given === null ? 'null' : typeof given),
  );
}

/** @throws InvalidArgumentError that names the header. */
function checkHeaders(headers: MessageHeaders | undefined): RecordHeadersInput | null {
  if (headers === undefined) return null;
  const entries = isList(headers) ? headers.map(checkPair) : Object.entries(headers);
  for (const [name, value] of entries) checkBytes(`header ${quoted(name)}`, value);
  return entries.length === 0 ? null : entries;
}

function isList(headers: MessageHeaders): headers is readonly MessageHeader[] {
  return Array.isArray(headers);
}

/** @throws InvalidArgumentError unless it is a name and something. */
function checkPair(pair: unknown): MessageHeader {
  if (Array.isArray(pair) && typeof pair[0] === 'string') return pair as unknown as MessageHeader;
  throw new InvalidArgumentError(
    'The headers of a message must be an object, or an array of [name, value] pairs',
  );
}

/** @throws InvalidArgumentError unless it is a string, bytes or null. */
function checkBytes(field: string, value: unknown): void {
  if (typeof value === 'string' || value === null || value instanceof Uint8Array) return;
  throw new InvalidArgumentError(
    `The ${field} of a message must be a string, a Uint8Array or null, not ${typeof value}`,
  );
}

/** @throws InvalidArgumentError unless it is a time that a record can hold. */
function checkTimestamp(timestampMs: number): number {
  if (Number.isSafeInteger(timestampMs) && timestampMs >= 0) return timestampMs;
  throw new InvalidArgumentError(
    `timestampMs of a message must be Unix time in whole milliseconds, not ${String(timestampMs)}`,
  );
}

/** A copy of what the caller may still write to. */
export function ownedCopy(message: CheckedMessage): CheckedMessage {
  const own = (bytes: string | Uint8Array | null): string | Uint8Array | null =>
    bytes instanceof Uint8Array ? Buffer.from(bytes) : bytes;
  const headers = message.headers?.map(([name, value]) => [name, own(value)] as const) ?? null;
  return { ...message, key: own(message.key), value: own(message.value), headers };
}

function boundOf(bytes: string | Uint8Array | null): number {
  if (bytes === null) return 0;
  if (typeof bytes !== 'string') return bytes.length;
  return bytes.length <= MEASURED_UNITS ? bytes.length * 3 : Buffer.byteLength(bytes);
}

function lengthOf(bytes: string | Uint8Array | null): number {
  if (bytes === null) return 0;
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;
}
