import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ProtocolError } from '../../protocol/src/errors.js';
import type { ErrorName } from '../../protocol/src/errors.js';
import { decodeFrame } from '../../protocol/src/frame.js';
import type { Frame } from '../../protocol/src/frame.js';
import { MAX_GROUP_METADATA_BYTES } from '../../protocol/src/limits.js';
import {
  apis,
  decodeResponseFrame,
  encodeErrorFrame,
  encodeRequestFrame,
  encodeResponseFrame,
} from '../../protocol/src/messages/index.js';
import type { Api } from '../../protocol/src/messages/index.js';

/**
 * One frame as it must be on the wire, without its payload. To add one, write the message, let
 * the test fail, and check the bytes that it shows by hand before they go into the file.
 */
interface GoldenCase {
  readonly name: string;
  readonly kind: 'request' | 'response' | 'error';
  readonly correlationId: number;
  readonly payloadBytes?: number;
  /** `{ "bytesHex": "…" }` stands for a Buffer. */
  readonly message?: unknown;
  readonly errorName?: ErrorName;
  readonly errorMessage?: string;
  /** Lines of 32 bytes. */
  readonly hex: readonly string[];
}

function withBuffers(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('bytesHex' in value)) return value;
  return Buffer.from(value.bytesHex as string, 'hex');
}

const folder = new URL('../golden/messages/', import.meta.url);
const files = readdirSync(folder).map((name) => {
  const text = readFileSync(new URL(name, folder), 'utf8');
  return JSON.parse(text, withBuffers) as {
    readonly api: string;
    readonly cases: readonly GoldenCase[];
  };
});
const cases = files.flatMap(({ api: name, cases: list }) => {
  const api = apis.find((each) => each.name === name);
  if (api === undefined) throw new Error(`There is no API ${name}`);
  return list.map((golden) => [`${name} ${golden.kind}: ${golden.name}`, api, golden] as const);
});

function encode(api: Api<unknown, unknown>, golden: GoldenCase): Buffer {
  const { kind, correlationId, message, payloadBytes = 0 } = golden;
  if (kind === 'request') return encodeRequestFrame(api, correlationId, message, payloadBytes);
  if (kind === 'response') return encodeResponseFrame(api, correlationId, message, payloadBytes);
  const error = new ProtocolError(golden.errorName ?? 'NONE', golden.errorMessage);
  return encodeErrorFrame({ apiKey: api.apiKey, apiVersion: 0, correlationId }, error);
}

function goldenFrame(golden: GoldenCase): Frame {
  const header = Buffer.from(golden.hex.join(''), 'hex');
  return decodeFrame(Buffer.concat([header, Buffer.alloc(golden.payloadBytes ?? 0)]));
}

function errorOf(action: () => unknown): ProtocolError {
  try {
    action();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}

describe('golden frames', () => {
  test.each(cases)('%s is encoded byte for byte', (_, api, golden) => {
    expect(
      encode(api, golden)
        .toString('hex')
        .match(/.{1,64}/g),
    ).toEqual(golden.hex);
  });

  test.each(cases)('%s is decoded to the same message', (_, api, golden) => {
    const frame = goldenFrame(golden);
    const { apiKey, apiVersion, correlationId } = frame;
    expect([apiKey, apiVersion, correlationId]).toEqual([api.apiKey, 0, golden.correlationId]);
    expect(frame.payload.length).toBe(golden.payloadBytes ?? 0);
    if (golden.kind === 'request') {
      expect(api.decodeRequest(frame.fields)).toEqual(golden.message);
    } else if (golden.kind === 'response') {
      expect(decodeResponseFrame(api, frame)).toEqual(golden.message);
    } else {
      const { errorName, errorMessage: message } = golden;
      expect(errorOf(() => decodeResponseFrame(api, frame))).toMatchObject({ errorName, message });
    }
  });

  test('exist for every request, response and error envelope', () => {
    for (const api of apis) {
      const kinds = cases.filter(([, each]) => each === api).map(([, , golden]) => golden.kind);
      expect(new Set(kinds)).toEqual(new Set(['request', 'response', 'error']));
    }
  });
});

/** Every copy of `fields` with one value, at any depth, changed by `change`. */
function* mutations(
  fields: readonly unknown[],
  change: (value: unknown) => readonly unknown[],
): Generator<unknown[]> {
  for (const [index, value] of fields.entries()) {
    for (const other of change(value)) yield fields.with(index, other);
    if (!Array.isArray(value)) continue;
    for (const inner of mutations(value, change)) yield fields.with(index, inner);
  }
}

/** Every copy with one array, at any depth, longer or shorter by one value. */
function* resized(fields: readonly unknown[]): Generator<unknown[]> {
  yield [...fields, 7];
  if (fields.length > 0) yield fields.slice(0, -1);
  for (const [index, value] of fields.entries()) {
    if (!Array.isArray(value)) continue;
    for (const inner of resized(value)) yield fields.with(index, inner);
  }
}

const tooLong = Buffer.alloc(MAX_GROUP_METADATA_BYTES + 1);
const messages = cases.filter(([, , golden]) => golden.kind !== 'error');

describe('decoding', () => {
  const decode = (api: Api<unknown, unknown>, golden: GoldenCase, fields: readonly unknown[]) =>
    golden.kind === 'request'
      ? api.decodeRequest(fields)
      : decodeResponseFrame(api, { ...goldenFrame(golden), fields });

  test.each(messages)('%s refuses values of every wrong type, by name', (_, api, golden) => {
    const wrong = (value: unknown) => {
      const all = [{}, undefined, 0.5, Number.NaN, 2 ** 53, true, Buffer.alloc(2)];
      if (typeof value === 'number') return [...all, '7', null, [7], -3e9];
      if (Buffer.isBuffer(value)) return [...all.slice(0, -1), 7, 'x', null, [7], tooLong];
      if (typeof value === 'string') return [...all, 7, ['x'], 'x'.repeat(32_768)];
      return value === null ? [...all, 7] : [...all, 7, 'x'];
    };
    for (const fields of mutations(goldenFrame(golden).fields, wrong)) {
      const error = errorOf(() => decode(api, golden, fields));
      expect(error.errorName).toBe('INVALID_REQUEST');
      expect(error.message).toMatch(/^\w+( response)?(\.\w+(\[\d+\])?)*: expected .*, got /);
      expect(error.message.startsWith(api.name)).toBe(true);
    }
  });

  test.each(messages)('%s refuses fields too many or too few', (_, api, golden) => {
    for (const fields of resized(goldenFrame(golden).fields)) {
      let decoded: unknown;
      try {
        decoded = decode(api, golden, fields);
      } catch (error) {
        expect(error).toMatchObject({ errorName: 'INVALID_REQUEST' });
        continue;
      }
      // A list may be one row shorter; then that is what was decoded.
      expect(decoded).not.toEqual(golden.message);
    }
  });
});

describe('an error frame', () => {
  const [api] = apis;
  if (api === undefined) throw new Error('no API');

  test('cuts a long message', () => {
    const error = new ProtocolError('INVALID_REQUEST', 'x'.repeat(100_000));
    const frame = decodeFrame(
      encodeErrorFrame({ apiKey: 0, apiVersion: 0, correlationId: 1 }, error),
    );
    expect(errorOf(() => decodeResponseFrame(api, frame)).message).toHaveLength(1_000);
  });

  test('also answers a request that could not be read', () => {
    const head = { apiKey: -1, apiVersion: 0, correlationId: -1 };
    const error = new ProtocolError('MALFORMED_HEADER', 'a map at byte 4');
    const frame = decodeFrame(encodeErrorFrame(head, error));
    expect(frame.correlationId).toBe(-1);
    expect(errorOf(() => decodeResponseFrame(api, frame))).toMatchObject({
      errorName: 'MALFORMED_HEADER',
      message: 'a map at byte 4',
    });
  });

  test.each<[string, Partial<Frame>, RegExp]>([
    ['no envelope', { fields: [] }, /errorCode: expected .* got nothing/],
    ['an envelope cut short', { fields: [3] }, /errorMessage: .* got nothing: only 1 fields/],
    ['fields after an error', { fields: [3, 'no', 1] }, /error code 3 is followed by more/],
    ['a code of the wrong type', { fields: ['3', null] }, /errorCode: .* got "3"/],
    ['another API key', { apiKey: 5, fields: [0, null] }, /API key 5 instead of 0/],
    ['no API key and no error', { apiKey: -1, fields: [0, null] }, /API key -1 instead of 0/],
  ])('with %s is refused', (_, change, message) => {
    const error = new ProtocolError('OVERLOADED');
    const head = { apiKey: 0, apiVersion: 0, correlationId: 1 };
    const frame = { ...decodeFrame(encodeErrorFrame(head, error)), ...change };
    const thrown = errorOf(() => decodeResponseFrame(api, frame));
    expect(thrown.errorName).toBe('INVALID_REQUEST');
    expect(thrown.message).toMatch(message);
  });

  test('with a code from the future is an unknown error that names it', () => {
    const head = { apiKey: 0, apiVersion: 0, correlationId: 1 };
    const frame = decodeFrame(encodeErrorFrame(head, new ProtocolError('OVERLOADED')));
    const thrown = errorOf(() => decodeResponseFrame(api, { ...frame, fields: [2_000, 'new'] }));
    expect(thrown).toMatchObject({ errorName: 'UNKNOWN_SERVER_ERROR' });
    expect(thrown.message).toMatch(/2000.*new/);
  });

  test('a response in a version that was not asked for is refused', () => {
    const head = { apiKey: 0, apiVersion: 0, correlationId: 1 };
    const frame = decodeFrame(encodeErrorFrame(head, new ProtocolError('NONE')));
    const thrown = errorOf(() => decodeResponseFrame(api, { ...frame, apiVersion: 4 }));
    expect(thrown).toMatchObject({ errorName: 'UNSUPPORTED_VERSION' });
  });
});
