import { MillraceError } from '../errors.js';

/** Exit codes of the command. */
export const exitCode = {
  ok: 0,
  /** Something failed; one line on stderr says what and what to do. */
  failed: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** Ended by Ctrl-C (128 + SIGINT), as shells expect, so that a script stops there too. */
  interrupted: 130,
} as const;

/** A wrong command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Thrown where the reader of our output has gone: a quiet end. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError';
}

/** The reason of the abort that Ctrl-C causes. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** One line that says what happened and what to do. */
export function explain(error: unknown, broker: string): string {
  if (error instanceof AggregateError) {
    return error.errors.map((each) => explain(each, broker)).join('; ');
  }
  if (!(error instanceof Error)) return oneLine(String(error));
  if (error instanceof MillraceError && error.code === 'CONNECTION_FAILED') {
    const message = error.message.replace(/^Cannot reach/, 'cannot reach');
    if (!message.startsWith('cannot reach')) return oneLine(message);
    return oneLine(
      `${message}; is it running? Start one with \`npm start\`, or name another with ` +
        `--broker host:port (now ${broker})`,
    );
  }
  return oneLine(error.message);
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
