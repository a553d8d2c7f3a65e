import { errorTable } from './error-table.js';
import type { ErrorEntry, ErrorName } from './error-table.js';

export * from './error-table.js';

const namesByCode: ReadonlyMap<number, ErrorName> = new Map(
  (Object.keys(errorTable) as ErrorName[]).map((name) => [errorTable[name].code, name]),
);

/** The name that belongs to a code, or undefined when the table has no such code. */
export function errorNameOf(code: number): ErrorName | undefined {
  return namesByCode.get(code);
}

/**
 * An error of the closed table: what a broker answers, and what a client throws for the answer.
 * The message says what happened, to what, and what to do.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly errorName: ErrorName;
  readonly code: number;
  readonly retriable: boolean;

  /**
   * @param message default: the message of the table.
   * @param options `cause`: the error that led to this one; it does not cross the wire.
   */
  constructor(errorName: ErrorName, message?: string, options?: { readonly cause?: unknown }) {
    const entry: ErrorEntry = errorTable[errorName];
    super(message ?? entry.message, options);
    this.errorName = errorName;
    this.code = entry.code;
    this.retriable = entry.retriable;
  }

  /**
   * The error for a code that came off the wire. A code that is not in the table becomes
   * `UNKNOWN_SERVER_ERROR` whose message names the code, so that an old client survives a newer
   * broker.
   *
   * @param message what the other side said; default: the message of the table.
   */
  static fromCode(code: number, message?: string | null): ProtocolError {
    const errorName = namesByCode.get(code);
    if (errorName !== undefined) return new ProtocolError(errorName, message ?? undefined);
    const said = message == null ? '' : `: ${message}`;
    return new ProtocolError(
      'UNKNOWN_SERVER_ERROR',
      `The other side answered error code ${code}, which this version does not know${said}`,
    );
  }
}
