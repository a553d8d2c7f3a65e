import { ProtocolError } from '../errors.js';
import { encodeFrame } from '../frame.js';
import type { Frame } from '../frame.js';
import { NO_API_KEY } from '../header.js';
import type { Field, FrameHead } from '../header.js';
import { MAX_ERROR_MESSAGE_LENGTH, MAX_INT16 } from '../limits.js';
import { FieldReader } from './fields.js';

/**
 * One API: how its request and response become header fields and back. Decoding checks types,
 * ranges and lengths, and throws a ProtocolError `INVALID_REQUEST` that names the field.
 */
export interface Api<Request, Response> {
  /** As in Kafka where Kafka has the API. */
  readonly apiKey: number;
  readonly name: string;
  /** The oldest version that this code speaks. */
  readonly minVersion: number;
  /** The newest version that this code speaks. */
  readonly maxVersion: number;
  encodeRequest(request: Request): Field[];
  decodeRequest(fields: readonly unknown[]): Request;
  /** Without the envelope (errorCode, errorMessage). */
  encodeResponse(response: Response): Field[];
  /** Without the envelope (errorCode, errorMessage). */
  decodeResponse(fields: readonly unknown[]): Response;
}

/** Which versions of an API one side speaks. */
export interface ApiVersionRange {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/*
 * Every response starts its fields with an envelope:
 *
 *   errorCode     int16; 0 = the fields of the response follow, else nothing follows
 *   errorMessage  string | nil
 *
 * Errors of single topics or partitions are in the rows of the response instead.
 */

/** @param payloadBytes bytes of payload that will follow; default 0. */
export function encodeRequestFrame<Request, Response>(
  api: Api<Request, Response>,
  correlationId: number,
  request: Request,
  payloadBytes = 0,
): Buffer {
  const head = { apiKey: api.apiKey, apiVersion: api.maxVersion, correlationId };
  return encodeFrame(head, api.encodeRequest(request), payloadBytes);
}

/** @param payloadBytes bytes of payload that will follow; default 0. */
export function encodeResponseFrame<Request, Response>(
  api: Api<Request, Response>,
  correlationId: number,
  response: Response,
  payloadBytes = 0,
): Buffer {
  const head = { apiKey: api.apiKey, apiVersion: api.maxVersion, correlationId };
  return encodeFrame(head, [0, null, ...api.encodeResponse(response)], payloadBytes);
}

/**
 * A response that is nothing but an error.
 *
 * @param head that of the request; `NO_API_KEY` and `NO_CORRELATION_ID` where it is not known.
 */
export function encodeErrorFrame(head: FrameHead, error: ProtocolError): Buffer {
  const { apiKey, apiVersion, correlationId } = head;
  const fields = [error.code, boundedMessage(error.message)];
  return encodeFrame({ apiKey, apiVersion, correlationId }, fields);
}

/**
 * Decodes the fields of a response frame; the payload stays with the frame.
 *
 * @throws ProtocolError the broker's own error if the frame is one (`ProtocolError.fromCode`);
 *   `INVALID_REQUEST` when the frame is not a well-formed response of this API.
 */
export function decodeResponseFrame<Request, Response>(
  api: Api<Request, Response>,
  frame: Frame,
): Response {
  const envelope = new FieldReader(frame.fields.slice(0, 2), `${api.name} response`);
  const errorCode = envelope.integer('errorCode', -MAX_INT16 - 1, MAX_INT16);
  const errorMessage = envelope.nullableString('errorMessage');
  if (frame.apiKey !== api.apiKey && (frame.apiKey !== NO_API_KEY || errorCode === 0)) {
    throw new ProtocolError(
      'INVALID_REQUEST',
      `${api.name} response: the frame has API key ${frame.apiKey} instead of ${api.apiKey}`,
    );
  }
  if (errorCode !== 0) {
    if (frame.fields.length > 2) {
      throw new ProtocolError(
        'INVALID_REQUEST',
        `${api.name} response: error code ${errorCode} is followed by more fields`,
      );
    }
    throw ProtocolError.fromCode(errorCode, errorMessage);
  }
  if (frame.apiVersion < api.minVersion || frame.apiVersion > api.maxVersion) {
    throw unsupportedVersion(api, frame.apiVersion);
  }
  return api.decodeResponse(frame.fields.slice(2));
}

/** An error that refuses a version, with the versions that would do. */
export function unsupportedVersion(
  api: Pick<Api<unknown, unknown>, 'name' | 'minVersion' | 'maxVersion'>,
  version: number,
): ProtocolError {
  return new ProtocolError(
    'UNSUPPORTED_VERSION',
    `${api.name} version ${version} is not supported; ` +
      `use one from ${api.minVersion} to ${api.maxVersion}`,
  );
}

/** An error message for the wire: cut to `MAX_ERROR_MESSAGE_LENGTH`. */
export function boundedMessage(message: string): string;
export function boundedMessage(message: string | null): string | null;
export function boundedMessage(message: string | null): string | null {
  if (message === null || message.length <= MAX_ERROR_MESSAGE_LENGTH) return message;
  return `${message.slice(0, MAX_ERROR_MESSAGE_LENGTH - 1)}…`;
}
