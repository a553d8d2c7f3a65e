import { DEFAULT_MAX_HEADER_BYTES, ProtocolError } from '@millrace/protocol';
import {
  BrokerError,
  ConnectionError,
  NotMillraceError,
  RequestTimeoutError,
  type MillraceError,
} from '../errors.js';

/*
 * What a connection says when it fails: who, what happened, and what it means.
 */

/**
 * @param reached whether the broker had sent anything
 * @param reason what the broker or the system said
 */
export function lostConnection(
  broker: string,
  reached: boolean,
  reason = 'it was closed by the other side',
  cause?: unknown,
): ConnectionError {
  const what = reached ? `Lost the connection to ${broker}` : `Cannot reach ${broker}`;
  return new ConnectionError(`${what}: ${reason}`, { broker, cause });
}

/** Bytes after a good handshake that are no frame. */
export function notAFrame(broker: string, cause: unknown): ConnectionError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ConnectionError(`${broker} sent what is not a frame: ${reason}`, { broker, cause });
}

/** Bytes instead of a handshake that no millrace broker sends. */
export function notMillrace(broker: string, cause: unknown): NotMillraceError {
  return new NotMillraceError(
    `What answers at ${broker} is not a millrace broker; is it another port that you mean?`,
    { broker, cause },
  );
}

/** Nothing instead of a handshake. */
export function silent(broker: string, connectTimeoutMs: number, cause: unknown): ConnectionError {
  return new ConnectionError(
    `${broker} did not answer within ${connectTimeoutMs} ms; is it a millrace broker, and does ` +
      'nothing filter the connection?',
    { broker, cause },
  );
}

/** No response in time. */
export function timedOut(broker: string, apiName: string, timeoutMs: number): RequestTimeoutError {
  return new RequestTimeoutError(
    `No response to ${apiName} from ${broker} within ${timeoutMs} ms; whether it took effect is ` +
      'unknown',
    { broker },
  );
}

/** A response that is an error, or that cannot be decoded. */
export function unreadableAnswer(broker: string, action: string, cause: unknown): MillraceError {
  if (cause instanceof ProtocolError) return new BrokerError(cause, { broker, action });
  const message = `The ${action} response of ${broker} cannot be read`;
  return new ConnectionError(message, { broker, cause });
}

/** A request that every broker would refuse; it was not sent. */
export function headerTooLarge(broker: string, action: string, headerBytes: number): BrokerError {
  const error = new ProtocolError(
    'FRAME_TOO_LARGE',
    `the request has ${headerBytes} bytes, and brokers take ${DEFAULT_MAX_HEADER_BYTES} beside ` +
      'messages; name fewer things in one request',
  );
  return new BrokerError(error, { broker, action });
}
