import { ProtocolError } from '@millrace/protocol';
import type { Logger } from 'pino';

/** The error of one row of a response, while its other rows may be fine. */
export interface RowFailure {
  readonly errorCode: number;
  readonly errorMessage: string;
}

/**
 * What a row says of `error`. What is not a ProtocolError is a defect: it is logged, and the client
 * only learns that there is one.
 *
 * @param what names the row in the log, as in `fetch of orders-3`.
 */
export function rowFailure(error: unknown, what: string, logger: Logger): RowFailure {
  if (error instanceof ProtocolError) {
    return { errorCode: error.code, errorMessage: error.message };
  }
  logger.error({ err: error }, `${what} failed`);
  const unknown = new ProtocolError('UNKNOWN_SERVER_ERROR');
  return { errorCode: unknown.code, errorMessage: unknown.message };
}
