import type { Logger } from 'pino';
import { ConnectionFatalError } from '../handlers/handler.js';
import { errnoOf } from '../storage/errors.js';

/** A request that wants no answer failed, or the protocol has a defect. */
export function logFatal(logger: Logger, client: string, error: unknown): void {
  if (error instanceof ConnectionFatalError) {
    logger.warn({ client, reason: error.message }, 'connection closed');
  } else {
    logger.error({ err: error, client }, 'serving a request failed');
  }
}

/** The socket failed; that a client is gone is everyday life. */
export function logFailure(logger: Logger, client: string, error: unknown): void {
  const code = errnoOf(error);
  const gone = code === 'EPIPE' || code === 'ECONNRESET' || code === 'ETIMEDOUT';
  const details = { err: error, client };
  if (gone) logger.debug(details, 'the client is gone');
  else logger.error(details, 'connection failed');
}
