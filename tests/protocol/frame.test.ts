import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProtocolError } from '../../protocol/src/errors.js';
import { decodeFrame, encodeFrame, FrameDecoder } from '../../protocol/src/frame.js';
import type { Frame } from '../../protocol/src/frame.js';
import type { Field } from '../../protocol/src/header.js';

const head = { apiKey: 0, apiVersion: 0, correlationId: 1 };
const limits = { maxFrameBytes: 100_000, maxHeaderBytes: 1_000 };

function wholeFrame(fields: readonly Field[], payload: Buffer, correlationId = 1): Buffer {
  return Buffer.concat([encodeFrame({ ...head, correlationId }, fields, payload.length), payload]);
}

function prefix(frameLength: number, headerLength: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(frameLength, 0);
  bytes.writeUInt32BE(headerLength, 4);
  return bytes;
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

/** Cuts `bytes` into pieces of the given sizes, again and again. */
function* cut(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let position = 0;
  for (let turn = 0; position < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(position, position + size);
    position += size;
  }
}

function plain(frame: Frame) {
  return { ...frame, payload: frame.payload.toBuffer().toString('hex') };
}

const sizes = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 20_000 })),
  { minLength: 1, maxLength: 12 },
);
const messages = fc.array(
  fc.record({
    text: fc.string({ maxLength: 200 }),
    payloadBytes: fc.oneof(fc.nat(20), fc.nat(50_000)),
  }),
  { minLength: 1, maxLength: 6 },
);

describe('FrameDecoder', () => {
  test('gives the frames that were encoded, however the stream is chunked', () => {
    const property = fc.property(messages, sizes, (list, pieces) => {
      const frames = list.map(({ text, payloadBytes }, index) =>
        wholeFrame([text, [index]], Buffer.alloc(payloadBytes, index + 1), index),
      );
      const decoder = new FrameDecoder(limits);
      const decoded: Frame[] = [];
      for (const piece of cut(Buffer.concat(frames), pieces)) decoded.push(...decoder.push(piece));
      expect(decoder.bufferedBytes).toBe(0);
      expect(decoded.map(plain)).toEqual(
        list.map(({ text, payloadBytes }, index) => ({
          apiKey: 0,
          apiVersion: 0,
          correlationId: index,
          fields: [text, [index]],
          payload: Buffer.alloc(payloadBytes, index + 1).toString('hex'),
        })),
      );
    });
    fc.assert(property);
  });

  test('takes one byte at a time without an object for each', () => {
    const bytes = wholeFrame(['x'], Buffer.alloc(90_000, 5));
    const decoder = new FrameDecoder(limits);
    const frames: Frame[] = [];
    for (const piece of cut(bytes, [1])) frames.push(...decoder.push(piece));
    expect(frames).toHaveLength(1);
    expect(frames[0]?.payload.length).toBe(90_000);
    expect(frames[0]?.payload.chunks.length).toBeLessThanOrEqual(8);
  });

  test('keeps little memory when small and large chunks alternate', () => {
    const bytes = wholeFrame(['x'], Buffer.alloc(90_000, 5));
    const decoder = new FrameDecoder(limits);
    const frames = [...cut(bytes, [1, 2_048])].flatMap((piece) => decoder.push(Buffer.from(piece)));
    const held = frames[0]?.payload.chunks.filter((chunk) => chunk.length < 2_048) ?? [];
    const memory = held.filter((chunk) => chunk.buffer.byteLength > 8_192);
    expect(held.length).toBeGreaterThan(10);
    expect(memory.length).toBeLessThanOrEqual(1);
  });

  test('does not copy a payload that comes in large chunks', () => {
    const payload = Buffer.alloc(60_000, 9);
    const bytes = wholeFrame(['x'], payload);
    const pieces = [...cut(bytes, [25_000])].map((piece) => Buffer.from(piece));
    const [frame] = pushAll(new FrameDecoder(limits), pieces);
    const buffers = frame?.payload.chunks.map((chunk) => chunk.buffer);
    expect(buffers).toEqual(pieces.map((piece) => piece.buffer));
    expect(frame?.payload.toBuffer().equals(payload)).toBe(true);
  });

  test('reports how much of a frame it holds', () => {
    const bytes = wholeFrame(['x'], Buffer.alloc(100));
    const decoder = new FrameDecoder(limits);
    for (const held of [3, 8, 9, 60]) {
      decoder.push(bytes.subarray(decoder.bufferedBytes, held));
      expect(decoder.bufferedBytes).toBe(held);
    }
    expect(decoder.push(bytes.subarray(60))).toHaveLength(1);
    expect(decoder.push(Buffer.alloc(0))).toEqual([]);
    expect(decoder.bufferedBytes).toBe(0);
  });

  test('accepts a frame and a header of exactly the limits, and not one byte more', () => {
    const text = 'x'.repeat(1_000 - 4 - 3);
    const header = encodeFrame(head, [text]).length - 8;
    expect(header).toBe(1_000);
    const payload = Buffer.alloc(limits.maxFrameBytes - 4 - header);
    expect(new FrameDecoder(limits).push(wholeFrame([text], payload))).toHaveLength(1);
    const longer = wholeFrame([text], Buffer.alloc(payload.length + 1));
    expect(errorOf(() => new FrameDecoder(limits).push(longer)).errorName).toBe('FRAME_TOO_LARGE');
    const wider = wholeFrame([`${text}x`], Buffer.alloc(0));
    expect(errorOf(() => new FrameDecoder(limits).push(wider)).errorName).toBe('FRAME_TOO_LARGE');
  });
});

function pushAll(decoder: FrameDecoder, pieces: readonly Buffer[]): Frame[] {
  return pieces.flatMap((piece) => decoder.push(piece));
}

describe('FrameDecoder refuses', () => {
  test.each<[string, Buffer, string, RegExp]>([
    ['a long frame by 4 bytes', prefix(100_001, 0).subarray(0, 4), 'FRAME_TOO_LARGE', /100001/],
    ['4 GiB', prefix(0xffff_ffff, 0).subarray(0, 4), 'FRAME_TOO_LARGE', /4294967295/],
    ['a long header by 8 bytes', prefix(50_000, 1_001), 'FRAME_TOO_LARGE', /header of 1001/],
    ['a frame of nothing', prefix(0, 0).subarray(0, 4), 'MALFORMED_HEADER', /0 bytes in all/],
    ['a frame without room', prefix(4, 0).subarray(0, 4), 'MALFORMED_HEADER', /4 bytes in all/],
    ['an empty header', prefix(10, 0), 'MALFORMED_HEADER', /header of 0 bytes/],
    ['a header beyond the frame', prefix(10, 7), 'MALFORMED_HEADER', /7 bytes .* only 6 follow/],
  ])('%s, before anything is buffered', (_, bytes, errorName, message) => {
    for (const pieces of [[bytes.length], [1]]) {
      const decoder = new FrameDecoder(limits);
      const error = errorOf(() => pushAll(decoder, [...cut(bytes, pieces)]));
      expect(error.errorName).toBe(errorName);
      expect(error.message).toMatch(message);
      expect(decoder.bufferedBytes).toBe(0);
    }
  });

  test('everything after an error, with the same error', () => {
    const decoder = new FrameDecoder(limits);
    const error = errorOf(() => decoder.push(prefix(0xffff_ffff, 0)));
    expect(errorOf(() => decoder.push(wholeFrame(['fine'], Buffer.alloc(0))))).toBe(error);
    expect(errorOf(() => decoder.push(Buffer.alloc(0)))).toBe(error);
    expect(decoder.bufferedBytes).toBe(0);
  });

  test('a bad frame but still has the good ones before it', () => {
    const decoder = new FrameDecoder(limits);
    const good = wholeFrame(['good'], Buffer.from('p'), 5);
    errorOf(() => decoder.push(Buffer.concat([good, good, prefix(0, 0)])));
    expect(decoder.framesBeforeError.map((frame) => frame.correlationId)).toEqual([5, 5]);
  });

  test('random bytes with nothing but a ProtocolError', () => {
    const small = { maxFrameBytes: 300, maxHeaderBytes: 200 };
    const lengths = fc.tuple(fc.nat(320), fc.nat(220)).map(([a, b]) => prefix(a, b));
    const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));
    const stream = fc.array(fc.oneof(lengths, bytes), { maxLength: 6 });
    const property = fc.property(stream, sizes, (parts, pieces) => {
      const decoder = new FrameDecoder(small);
      try {
        for (const piece of cut(Buffer.concat(parts), pieces)) {
          decoder.push(piece);
          expect(decoder.bufferedBytes).toBeLessThan(304);
        }
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  test('sizes that headers and frames merely declare, without taking memory for them', () => {
    const hostile = [
      Buffer.concat([prefix(20, 16), Buffer.from('94000000ddffffffff'.padEnd(32, '0'), 'hex')]),
      Buffer.concat([prefix(20, 16), Buffer.from('94000000dbffffffff'.padEnd(32, '0'), 'hex')]),
      Buffer.concat([prefix(20, 16), Buffer.from('94000000c6ffffffff'.padEnd(32, '0'), 'hex')]),
      prefix(0xffff_ffff, 0xffff_ffff),
    ];
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 500; round += 1) {
      for (const bytes of hostile) errorOf(() => new FrameDecoder(limits).push(bytes));
    }
    const idle = Array.from({ length: 500 }, () => new FrameDecoder(limits));
    for (const decoder of idle) decoder.push(prefix(100_000, 1_000));
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});

describe('decodeFrame', () => {
  test('takes exactly one frame', () => {
    const bytes = wholeFrame(['x', null, [1, 2]], Buffer.from('payload'), 77);
    const frame = decodeFrame(bytes);
    expect(frame).toMatchObject({ ...head, correlationId: 77, fields: ['x', null, [1, 2]] });
    expect(frame.payload.toBuffer().toString()).toBe('payload');
    expect(errorOf(() => decodeFrame(bytes.subarray(0, -1))).message).toMatch(/less than one/);
    expect(errorOf(() => decodeFrame(Buffer.concat([bytes, bytes]))).message).toMatch(/more than/);
    const trailing = Buffer.concat([bytes, Buffer.from([0])]);
    expect(errorOf(() => decodeFrame(trailing)).message).toMatch(/more than/);
  });
});

describe('encodeFrame', () => {
  test('writes lengths that count the header and the payload to come', () => {
    const bytes = encodeFrame(head, ['abc'], 1_000);
    expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4 + 1_000);
    expect(bytes.readUInt32BE(4)).toBe(bytes.length - 8);
  });

  test('refuses payload lengths that are none or do not fit', () => {
    for (const bytes of [-1, 0.5, Number.NaN]) {
      expect(() => encodeFrame(head, [], bytes)).toThrow(RangeError);
    }
    expect(errorOf(() => encodeFrame(head, [], 0xffff_ffff)).errorName).toBe('FRAME_TOO_LARGE');
  });
});
