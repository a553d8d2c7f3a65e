import { ByteChunks } from './bytes.js';
import { ProtocolError } from './errors.js';
import { decodeHeader, encodeHeader, FRAME_PREFIX_BYTES } from './header.js';
import type { Field, FrameHead, FrameHeader } from './header.js';
import {
  CLIENT_MAX_FRAME_BYTES,
  CLIENT_MAX_HEADER_BYTES,
  DEFAULT_MAX_FRAME_BYTES,
  DEFAULT_MAX_HEADER_BYTES,
} from './limits.js';

/*
 * A frame, all integers big-endian:
 *
 *   u32 frameLength     everything after itself: 4 + headerLength + payload
 *   u32 headerLength
 *   header              msgpack array [apiKey, apiVersion, correlationId, ...fields]
 *   payload             record batches as they are, or nothing
 */

/** A decoded frame. */
export interface Frame extends FrameHeader {
  /** What follows the header; shares memory with the chunks that were received. */
  readonly payload: ByteChunks;
}

/** What a receiver accepts. */
export interface FrameLimits {
  /** Largest `frameLength`, in bytes. */
  readonly maxFrameBytes: number;
  /** Largest `headerLength`, in bytes. */
  readonly maxHeaderBytes: number;
}

/** What a broker accepts by default: 17 MiB in a frame, 1 MiB of it in the header. */
export const DEFAULT_FRAME_LIMITS: FrameLimits = {
  maxFrameBytes: DEFAULT_MAX_FRAME_BYTES,
  maxHeaderBytes: DEFAULT_MAX_HEADER_BYTES,
};

/** What a client accepts by default: 80 MiB in a frame, 16 MiB of it in the header. */
export const CLIENT_FRAME_LIMITS: FrameLimits = {
  maxFrameBytes: CLIENT_MAX_FRAME_BYTES,
  maxHeaderBytes: CLIENT_MAX_HEADER_BYTES,
};

const MAX_U32 = 0xffff_ffff;

/**
 * Encodes the prefix and the header of a frame. The payload is not part of the result: its bytes
 * are sent right after it.
 *
 * @param payloadBytes how many bytes of payload will follow; default 0.
 * @throws ProtocolError `MALFORMED_HEADER` when a receiver would refuse the header,
 *   `FRAME_TOO_LARGE` when the frame would exceed what a u32 can say.
 */
export function encodeFrame(head: FrameHead, fields: readonly Field[], payloadBytes = 0): Buffer {
  if (!Number.isSafeInteger(payloadBytes) || payloadBytes < 0) {
    throw new RangeError(`payloadBytes must be a length in bytes, not ${payloadBytes}`);
  }
  const bytes = encodeHeader(head, fields);
  const frameLength = bytes.length - 4 + payloadBytes;
  if (frameLength > MAX_U32) throw frameTooLarge(frameLength, MAX_U32);
  bytes.writeUInt32BE(frameLength, 0);
  bytes.writeUInt32BE(bytes.length - FRAME_PREFIX_BYTES, 4);
  return bytes;
}

/**
 * Decodes one whole frame; for tests and tools.
 *
 * @param limits default: those of a client.
 * @throws ProtocolError `FRAME_TOO_LARGE`, or `MALFORMED_HEADER` also when `bytes` are less or
 *   more than one frame.
 */
export function decodeFrame(bytes: Buffer, limits: FrameLimits = CLIENT_FRAME_LIMITS): Frame {
  const decoder = new FrameDecoder(limits);
  const [frame, ...more] = decoder.push(bytes);
  if (frame !== undefined && more.length === 0 && decoder.bufferedBytes === 0) return frame;
  throw new ProtocolError(
    'MALFORMED_HEADER',
    `${bytes.length} bytes are ${frame === undefined ? 'less' : 'more'} than one whole frame`,
  );
}

/** A received chunk below this is copied while its frame is incomplete, larger ones are kept. */
const SMALL_CHUNK_BYTES = 2 * 1024;
/** The buffers that small chunks are gathered in. */
const GATHER_BYTES = 16 * 1024;

/**
 * Cuts a byte stream into frames, however it is chunked, in time linear in its bytes. It keeps at
 * most one incomplete frame, in memory of the order of that frame's bytes so far: a peer that sends
 * byte by byte does not cost an object for each.
 *
 * Chunks that were pushed must not be written to afterwards: frames share their memory.
 */
export class FrameDecoder {
  readonly #limits: FrameLimits;
  readonly #prefix = Buffer.alloc(FRAME_PREFIX_BYTES);
  #prefixBytes = 0;
  #headerLength = 0;
  /** Header and payload of the frame that is being received. */
  #bodyLength = 0;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  #gather: Buffer | undefined;
  #gatheredBytes = 0;
  #error: ProtocolError | undefined;
  #framesBeforeError: readonly Frame[] = [];

  /** @param limits default {@link DEFAULT_FRAME_LIMITS}. */
  constructor(limits: FrameLimits = DEFAULT_FRAME_LIMITS) {
    this.#limits = limits;
  }

  /** Bytes of the incomplete frame that is being received. */
  get bufferedBytes(): number {
    return this.#prefixBytes + this.#bodyBytes;
  }

  /** Whole frames that the failing `push` had found before the bad one. */
  get framesBeforeError(): readonly Frame[] {
    return this.#framesBeforeError;
  }

  /**
   * Takes the next bytes of the stream and gives the frames that they complete.
   *
   * @throws ProtocolError `FRAME_TOO_LARGE` as soon as the first 4 bytes (frame) or 8 bytes
   *   (header) of a frame say so, `MALFORMED_HEADER` when its lengths or header make no sense. A
   *   stream cannot be resumed after that: each further call throws the same error.
   */
  push(chunk: Buffer): Frame[] {
    if (this.#error !== undefined) throw this.#error;
    const frames: Frame[] = [];
    try {
      this.#consume(chunk, frames);
    } catch (error) {
      if (error instanceof ProtocolError) this.#poison(error, frames);
      throw error;
    }
    return frames;
  }

  #consume(chunk: Buffer, frames: Frame[]): void {
    let position = 0;
    while (position < chunk.length) {
      if (this.#prefixBytes < FRAME_PREFIX_BYTES) {
        position = this.#readPrefix(chunk, position);
        if (this.#prefixBytes < FRAME_PREFIX_BYTES) return;
      }
      const end = position + this.#bodyLength - this.#bodyBytes;
      if (end > chunk.length) {
        this.#keep(position === 0 ? chunk : chunk.subarray(position));
        return;
      }
      frames.push(this.#finish(chunk, position, end));
      position = end;
    }
  }

  /** Checks the lengths as soon as they are there; returns the position after what it took. */
  #readPrefix(chunk: Buffer, position: number): number {
    const before = this.#prefixBytes;
    const taken = Math.min(FRAME_PREFIX_BYTES - before, chunk.length - position);
    const now = before + taken;
    for (let index = 0; index < taken; index += 1) {
      this.#prefix[before + index] = chunk[position + index] as number;
    }
    this.#prefixBytes = now;
    if (before < 4 && now >= 4) {
      const frameLength = this.#prefix.readUInt32BE(0);
      const { maxFrameBytes } = this.#limits;
      if (frameLength > maxFrameBytes) throw frameTooLarge(frameLength, maxFrameBytes);
      if (frameLength <= 4) throw lengthsDisagree(`it declares ${frameLength} bytes in all`);
      this.#bodyLength = frameLength - 4;
    }
    if (now === FRAME_PREFIX_BYTES) this.#checkHeaderLength(this.#prefix.readUInt32BE(4));
    return position + taken;
  }

  #checkHeaderLength(headerLength: number): void {
    const { maxHeaderBytes } = this.#limits;
    if (headerLength > this.#bodyLength) {
      throw lengthsDisagree(
        `it declares ${headerLength} bytes of header where only ${this.#bodyLength} follow`,
      );
    }
    if (headerLength === 0) throw lengthsDisagree('it declares a header of 0 bytes');
    if (headerLength > maxHeaderBytes) {
      throw new ProtocolError(
        'FRAME_TOO_LARGE',
        `A frame header of ${headerLength} bytes is longer than the ${maxHeaderBytes} accepted`,
      );
    }
    this.#headerLength = headerLength;
  }

  /** Keeps a chunk that lies wholly within the frame that is being received. */
  #keep(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#bodyBytes += chunk.length;
    if (chunk.length >= SMALL_CHUNK_BYTES) {
      this.#sealGathered();
      this.#body.push(chunk);
      return;
    }
    if (this.#gather === undefined || this.#gather.length - this.#gatheredBytes < chunk.length) {
      this.#sealGathered();
      const missing = this.#bodyLength - this.#bodyBytes + chunk.length;
      this.#gather = Buffer.allocUnsafeSlow(Math.min(missing, GATHER_BYTES));
    }
    chunk.copy(this.#gather, this.#gatheredBytes);
    this.#gatheredBytes += chunk.length;
  }

  #sealGathered(): void {
    if (this.#gather !== undefined) {
      const gathered = this.#gather.subarray(0, this.#gatheredBytes);
      const mostlyEmpty = gathered.length * 2 < this.#gather.length;
      this.#body.push(mostlyEmpty ? Buffer.from(gathered) : gathered);
    }
    this.#gather = undefined;
    this.#gatheredBytes = 0;
  }

  #finish(chunk: Buffer, start: number, end: number): Frame {
    const headerLength = this.#headerLength;
    const whole = this.#bodyBytes === 0;
    this.#prefixBytes = 0;
    if (whole) {
      const headerEnd = start + headerLength;
      const header = decodeHeader(chunk, start, headerEnd);
      const payload =
        headerEnd === end ? ByteChunks.empty : new ByteChunks([chunk.subarray(headerEnd, end)]);
      return frameOf(header, payload);
    }
    this.#sealGathered();
    this.#body.push(chunk.subarray(start, end));
    const body = new ByteChunks(this.#body);
    this.#body = [];
    this.#bodyBytes = 0;
    return frameOf(decodeHeader(body.view(0, headerLength)), body.slice(headerLength));
  }

  #poison(error: ProtocolError, frames: readonly Frame[]): void {
    this.#error = error;
    this.#framesBeforeError = frames;
    this.#prefixBytes = 0;
    this.#body = [];
    this.#bodyBytes = 0;
    this.#gather = undefined;
    this.#gatheredBytes = 0;
  }
}

function frameOf(header: FrameHeader, payload: ByteChunks): Frame {
  const { apiKey, apiVersion, correlationId, fields } = header;
  return { apiKey, apiVersion, correlationId, fields, payload };
}

function frameTooLarge(frameLength: number, maxFrameBytes: number): ProtocolError {
  return new ProtocolError(
    'FRAME_TOO_LARGE',
    `A frame of ${frameLength} bytes is longer than the ${maxFrameBytes} accepted`,
  );
}

function lengthsDisagree(problem: string): ProtocolError {
  return new ProtocolError('MALFORMED_HEADER', `The lengths of a frame make no sense: ${problem}`);
}
