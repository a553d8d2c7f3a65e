import {
  apiOfRequest,
  ByteChunks,
  encodeErrorFrame,
  encodeResponseFrame,
  FrameDecoder,
  NO_API_KEY,
  NO_CORRELATION_ID,
  ProtocolError,
} from '@millrace/protocol';
import type { Api, Frame, FrameLimits } from '@millrace/protocol';
import type { Logger } from 'pino';
import type { ApiCounters, BrokerCounters } from '../counters.js';
import type { RequestContext } from '../handlers/context.js';
import type { AnyHandler, Reply } from '../handlers/handler.js';
import { ConnectionFatalError } from '../handlers/handler.js';
import { releaseParts } from '../net/outbound-queue.js';
import { andThen } from '../maybe-promise.js';
import type { MaybePromise } from '../maybe-promise.js';
import type { Received, WireDecoder, WireProtocol, WireReply } from './wire-protocol.js';

export interface NativeProtocolOptions {
  /** One for each API that is served. */
  readonly handlers: readonly AnyHandler[];
  readonly frameLimits: FrameLimits;
  readonly counters: BrokerCounters;
  readonly logger: Logger;
}

interface Route {
  readonly handler: AnyHandler;
  readonly counters: ApiCounters;
}

/** A frame; its payload is gone when its API takes none. */
interface NativeFrame extends Frame {
  readonly droppedPayloadBytes?: number;
}

const noBody = [] as const;
/** A frame and a request without any field, and what serving keeps of it. */
const DECODED_FRAME_BYTES = 512;

/** The native protocol: frames to handlers, replies and errors to frames. It knows no storage. */
export class NativeProtocol implements WireProtocol<NativeFrame> {
  readonly #routes = new Map<number, Route>();
  readonly #options: NativeProtocolOptions;

  constructor(options: NativeProtocolOptions) {
    this.#options = options;
    for (const handler of options.handlers) {
      const { apiKey, name } = handler.api;
      this.#routes.set(apiKey, { handler, counters: options.counters.api(apiKey, name) });
    }
  }

  newDecoder(): WireDecoder<NativeFrame> {
    return new FrameDecoder(this.#options.frameLimits);
  }

  /** Header fields are values of their own: binary ones are copies. */
  receive(frame: Frame): Received<NativeFrame> {
    const decodedBytes = DECODED_FRAME_BYTES + memoryOf(frame.fields);
    const { payload } = frame;
    if (payload.length === 0) return { frame, sharesMemory: false, decodedBytes };
    const route = this.#routes.get(frame.apiKey);
    if (route?.handler.takesPayload === true) return { frame, sharesMemory: true, decodedBytes };
    const without = { ...frame, payload: ByteChunks.empty, droppedPayloadBytes: payload.length };
    return { frame: without, sharesMemory: false, decodedBytes };
  }

  serve(frame: NativeFrame, context: RequestContext): MaybePromise<WireReply | undefined> {
    const route = this.#routes.get(frame.apiKey);
    const counters = route?.counters ?? this.#options.counters.unknownApi;
    counters.requests += 1;
    try {
      const reply = this.#handle(route, frame, context);
      if (reply instanceof Promise) return this.#answered(reply, frame, counters, context);
      observe(counters, context);
      return reply;
    } catch (error) {
      observe(counters, context);
      return this.#errorReply(frame, error, counters, context);
    }
  }

  #handle(
    route: Route | undefined,
    frame: NativeFrame,
    context: RequestContext,
  ): MaybePromise<WireReply | undefined> {
    const api = apiOfRequest(frame);
    if (route === undefined) throw notServed(api);
    if (frame.droppedPayloadBytes !== undefined) {
      throw unwantedPayload(api, frame.droppedPayloadBytes);
    }
    const request = api.decodeRequest(frame.fields);
    return andThen(route.handler.handle(request, frame.payload, context), (reply) =>
      reply === undefined ? undefined : encodeReply(api, frame.correlationId, reply),
    );
  }

  async #answered(
    reply: Promise<WireReply | undefined>,
    frame: NativeFrame,
    counters: ApiCounters,
    context: RequestContext,
  ): Promise<WireReply | undefined> {
    try {
      return await reply;
    } catch (error) {
      return this.#errorReply(frame, error, counters, context);
    } finally {
      observe(counters, context);
    }
  }

  timeoutReply(frame: Frame): Buffer {
    const name = this.#routes.get(frame.apiKey)?.handler.api.name ?? `API ${frame.apiKey}`;
    const error = new ProtocolError(
      'REQUEST_TIMED_OUT',
      `${name}: not done within the time for a request; it may still be carried out`,
    );
    this.#routes.get(frame.apiKey)?.counters.countError(error.errorName);
    return encodeErrorFrame(frame, error);
  }

  connectionError(error: ProtocolError): Buffer {
    const head = { apiKey: NO_API_KEY, apiVersion: 0, correlationId: NO_CORRELATION_ID };
    return encodeErrorFrame(head, error);
  }

  #errorReply(
    frame: Frame,
    error: unknown,
    counters: ApiCounters,
    context: RequestContext,
  ): WireReply {
    if (error instanceof ConnectionFatalError) {
      counters.countError('UNKNOWN_SERVER_ERROR');
      throw error;
    }
    const answer = this.#asProtocolError(error, frame, context);
    counters.countError(answer.errorName);
    return { head: encodeErrorFrame(frame, answer), body: noBody };
  }

  #asProtocolError(error: unknown, frame: Frame, context: RequestContext): ProtocolError {
    const { logger } = this.#options;
    const client = context.connection.remoteAddress;
    const { apiKey, correlationId } = frame;
    if (error instanceof ProtocolError) {
      const { errorName, message } = error;
      logger.debug({ client, apiKey, correlationId, error: errorName, reason: message }, 'refused');
      return error;
    }
    logger.error({ err: error, client, apiKey, correlationId }, 'a handler failed');
    return new ProtocolError('UNKNOWN_SERVER_ERROR');
  }
}

function observe({ latency }: ApiCounters, { receivedAtMs }: RequestContext): void {
  latency.observe(performance.now() - receivedAtMs);
}

/** Encodes a reply; when that fails, what it holds is released. */
function encodeReply(
  api: Api<unknown, unknown>,
  correlationId: number,
  { response, payload }: Reply<unknown>,
): WireReply {
  try {
    let payloadBytes = 0;
    for (const part of payload) payloadBytes += part.length;
    const head = encodeResponseFrame(api, correlationId, response, payloadBytes);
    return { head, body: payload };
  } catch (error) {
    releaseParts(payload);
    if (!(error instanceof ProtocolError)) throw error;
    throw new ProtocolError(
      'LIMIT_EXCEEDED',
      `${api.name}: the answer does not fit into one response (${error.message})`,
      { cause: error },
    );
  }
}

/**
 * Memory of decoded fields, and of the message that is made of them: about the same again. Objects and
 * arrays take some 50 bytes, a value in them a word, a number that is no small integer one more.
 */
function memoryOf(fields: readonly unknown[]): number {
  let bytes = 100;
  for (const field of fields) {
    if (Array.isArray(field)) bytes += 16 + memoryOf(field);
    else if (Buffer.isBuffer(field)) bytes += 128 + field.length;
    else bytes += typeof field === 'string' ? 32 + field.length : 32;
  }
  return bytes;
}

function unwantedPayload(api: Api<unknown, unknown>, bytes: number): ProtocolError {
  return new ProtocolError(
    'INVALID_REQUEST',
    `${api.name}: ${bytes} bytes follow the header, but this request takes no payload`,
  );
}

function notServed(api: Api<unknown, unknown>): ProtocolError {
  return new ProtocolError('UNKNOWN_API', `${api.name} is not served on this port`);
}
