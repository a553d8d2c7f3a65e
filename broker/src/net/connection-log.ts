import type { Logger } from 'pino';
import { ConnectionFatalError } from '../handlers/handler.js';
import type { CutReason } from '../counters.js';
import { errnoOf } from '../storage/errors.js';

/** A request that wants no answer failed, or the protocol has a defect. */
export function logFatal(logger: Logger, client: string, error: unknown): void {
  if (error instanceof ConnectionFatalError) {
    logger.warn({ client, reason: error.message }, 'connection closed');
  } else {
    logger.error({ err: error, client }, 'serving a request failed');
  }
}

const cutMessages: Readonly<Record<CutReason, string>> = {
  stalled: 'connection cut: the client took none of its answers for sendStallTimeoutMs',
  slow: 'connection cut: the client did not complete a request in requestTimeoutMs',
  'no request': 'connection cut: the client asked for nothing within firstRequestTimeoutMs',
  idle: 'connection closed: the client asked for nothing for connectionIdleTimeoutMs',
};

/** A client was cut for what it does not do. That one is idle is nothing to worry about. */
export function logCut(logger: Logger, client: string, reason: CutReason, details: object): void {
  logger[reason === 'idle' ? 'info' : 'warn']({ client, ...details }, cutMessages[reason]);
}

/** The socket failed; that a client is gone is everyday life. */
export function logFailure(logger: Logger, client: string, error: unknown): void {
  const code = errnoOf(error);
  const gone = code === 'EPIPE' || code === 'ECONNRESET' || code === 'ETIMEDOUT';
  const details = { err: error, client };
  if (gone) logger.debug(details, 'the client is gone');
  else logger.error(details, 'connection failed');
}
