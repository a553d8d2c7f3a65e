import type { Api, ByteChunks } from '@millrace/protocol';
import type { MaybePromise } from '../maybe-promise.js';
import type { OutboundPart } from '../net/outbound-queue.js';
import type { RequestContext } from './context.js';

/** What a handler answers: the message, and record batches that follow it as they are. */
export interface Reply<Response> {
  readonly response: Response;
  /** Owned by whoever gets the reply: regions are to be released when sent or dropped. */
  readonly payload: readonly OutboundPart[];
}

/**
 * Serves one API. It knows no sockets and no frames: it takes a checked request with its payload and
 * returns a reply, or undefined when the request wants none (`acks=0`).
 *
 * A thrown ProtocolError is the answer to the whole request. Anything else that is thrown is a
 * defect: it is logged and answered UNKNOWN_SERVER_ERROR.
 */
export interface Handler<Request, Response> {
  readonly api: Api<Request, Response>;
  /** Whether requests have a payload; others that come with one are refused. */
  readonly takesPayload?: boolean;
  handle(
    request: Request,
    payload: ByteChunks,
    context: RequestContext,
  ): MaybePromise<Reply<Response> | undefined>;
}

/** A handler whose message types do not matter to who calls it. */
export type AnyHandler = Handler<unknown, unknown>;

/** A request that wants no answer failed: the connection must go, or the client would never know. */
export class ConnectionFatalError extends Error {
  override readonly name = 'ConnectionFatalError';
}

/** A reply of only a message. */
export function reply<Response>(response: Response): Reply<Response> {
  return { response, payload: nothing };
}

const nothing: readonly OutboundPart[] = [];
