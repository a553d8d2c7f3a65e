import msgpack from 'msgpack-lite';
import { ProtocolError } from './errors.js';
import { malformed, prescanHeader } from './header-scan.js';
import { MAX_INT16, MAX_INT32 } from './limits.js';

/** What a header field can hold besides arrays. */
export type Scalar = string | number | boolean | null | Buffer;
/** A header field: a scalar, or an array of fields. */
export type Field = Scalar | readonly Field[];

/** The three values that every header starts with. */
export interface FrameHead {
  /** Which API; `NO_API_KEY` in an answer to something that could not be read. */
  readonly apiKey: number;
  /** The version of the API that the fields are in. */
  readonly apiVersion: number;
  /** Chosen by the client, repeated in the response; responses may overtake each other. */
  readonly correlationId: number;
}

/** A decoded header. */
export interface FrameHeader extends FrameHead {
  readonly fields: readonly unknown[];
}

/** The API key of an error answer to a frame whose header could not be read. */
export const NO_API_KEY = -1;
/** The correlation id of an error answer to a frame whose header could not be read. */
export const NO_CORRELATION_ID = -1;

/** Bytes before the header: `u32 frameLength · u32 headerLength`. */
export const FRAME_PREFIX_BYTES = 8;

/*
 * msgpack-lite is used here and nowhere else. What is worth knowing about 0.2.2:
 *  - its own encode() makes an encoder with a zeroed 2 KiB buffer for each call; so one encoder
 *    is kept and given a scratch buffer, and one decoder is kept and pointed at the bytes
 *  - an encoder that threw keeps what it had written; so its state is set anew for each call
 *  - integers outside of -2^31 to 2^32 - 1 are written as float64; uint64 and int64 are read as
 *    numbers, rounded beyond 2^53, where no message accepts them
 *  - undefined is written as nil, objects and typed arrays other than Buffer as maps; the scan of
 *    what was encoded refuses the maps
 *  - binary values are read as copies: nothing that was decoded shares memory with the bytes
 *  - decoding stops after the first value and ignores what follows; the scan refuses trailing bytes
 */
interface Encoder {
  buffer: Buffer;
  buffers: Buffer[] | undefined;
  start: number;
  offset: number;
  write(value: unknown): void;
  read(): Buffer;
}
interface Decoder {
  buffer: Buffer;
  offset: number;
  fetch(): unknown;
}
interface MsgpackLite {
  createCodec(options?: object): object;
  Encoder: new (options: { codec: object }) => Encoder;
  Decoder: new (options: { codec: object }) => Decoder;
}

const lite = msgpack as unknown as MsgpackLite;
/** Without presets there are no extension types: neither side can make the other build objects. */
const codec = lite.createCodec();
const encoder = new lite.Encoder({ codec });
const decoder = new lite.Decoder({ codec });
const scratch = Buffer.allocUnsafeSlow(64 * 1024);
const noBytes = Buffer.alloc(0);

/**
 * Encodes a header with {@link FRAME_PREFIX_BYTES} bytes of room before it.
 *
 * @throws ProtocolError `MALFORMED_HEADER` when the receiver would refuse the header: it nests too
 *   deeply, has too many values, or holds something other than a {@link Field}.
 */
export function encodeHeader(head: FrameHead, fields: readonly Field[]): Buffer {
  const header = encodeValues([head.apiKey, head.apiVersion, head.correlationId, ...fields]);
  prescanHeader(header);
  const result = Buffer.allocUnsafe(FRAME_PREFIX_BYTES + header.length);
  header.copy(result, FRAME_PREFIX_BYTES);
  return result;
}

/** The result lies in the scratch buffer where it fits: it is valid until the next call. */
function encodeValues(values: readonly Field[]): Buffer {
  encoder.buffer = scratch;
  encoder.buffers = undefined;
  encoder.start = 0;
  encoder.offset = 0;
  encoder.write(values);
  const encoded = encoder.read();
  encoder.buffer = scratch;
  return encoded;
}

/**
 * Scans and decodes the header at `start` to before `end` of `bytes`.
 *
 * @throws ProtocolError `MALFORMED_HEADER`.
 */
export function decodeHeader(bytes: Buffer, start = 0, end = bytes.length): FrameHeader {
  prescanHeader(bytes, start, end);
  const values = decodeValues(bytes, start);
  return {
    apiKey: headInteger(values, 0, 'API key', NO_API_KEY, MAX_INT16),
    apiVersion: headInteger(values, 1, 'API version', 0, MAX_INT16),
    correlationId: headInteger(values, 2, 'correlation id', NO_CORRELATION_ID, MAX_INT32),
    fields: values.slice(3),
  };
}

function decodeValues(bytes: Buffer, start: number): readonly unknown[] {
  decoder.buffer = bytes;
  decoder.offset = start;
  try {
    return decoder.fetch() as readonly unknown[];
  } catch (cause) {
    throw new ProtocolError('MALFORMED_HEADER', 'Frame header cannot be decoded', { cause });
  } finally {
    decoder.buffer = noBytes;
  }
}

function headInteger(
  values: readonly unknown[],
  index: number,
  name: string,
  min: number,
  max: number,
): number {
  const value = values[index];
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number;
  }
  const found = typeof value === 'number' ? value : value === null ? 'null' : `a ${typeof value}`;
  throw malformed(`its ${name} must be an integer from ${min} to ${max}, not ${found}`);
}
