import type { ProtocolError } from '@millrace/protocol';
import type { MaybePromise } from '../maybe-promise.js';
import type { RequestContext } from '../handlers/context.js';
import type { OutboundPart } from '../net/outbound-queue.js';

/** What leaves for one request: encoded bytes, and file regions that follow them. */
export interface WireReply {
  readonly head: Buffer;
  readonly body: readonly OutboundPart[];
}

/** Cuts the bytes of one connection into frames. */
export interface WireDecoder<Frame> {
  /** @throws ProtocolError when the stream makes no sense; it cannot be resumed. */
  push(chunk: Buffer): readonly Frame[];
  /** Frames that a failing {@link push} had completed before the bad one. */
  readonly framesBeforeError: readonly Frame[];
  /** Bytes of the frame that is incomplete. */
  readonly bufferedBytes: number;
}

/** A request that has come, before it is served. */
export interface Received<Frame> {
  readonly frame: Frame;
  /**
   * Whether the frame refers to the bytes that it was decoded from. They are kept until it was served
   * and are written over afterwards.
   */
  readonly sharesMemory: boolean;
  /** Memory that it takes besides those bytes, while it waits and is served; an estimate. */
  readonly decodedBytes: number;
}

/**
 * A protocol that a listener speaks. Connections know no more of it than this, so another one (on
 * another port) is another implementation.
 */
export interface WireProtocol<Frame> {
  newDecoder(): WireDecoder<Frame>;
  /** Takes a frame in. One that has no use for its payload lets go of it here. */
  receive(frame: Frame): Received<Frame>;
  /**
   * Serves one request. Handlers run synchronously up to their first wait, so requests reach the
   * log in the order of these calls.
   *
   * Undefined when there is nothing to answer.
   * @throws ConnectionFatalError when the connection must be closed, at once or by the promise; nothing else.
   */
  serve(frame: Frame, context: RequestContext): MaybePromise<WireReply | undefined>;
  /** The answer to a request that took too long. */
  timeoutReply(frame: Frame): Buffer;
  /** The last words to a client whose stream makes no sense, or that is not let in. */
  connectionError(error: ProtocolError): Buffer;
}
