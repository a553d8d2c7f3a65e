/** Exit codes of the command. */
export const exitCode = {
  ok: 0,
  /** Something failed; one line on stderr says what and what to do. */
  failed: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** Ended by Ctrl-C (128 + SIGINT), as shells expect, so that a script stops there too. */
  interrupted: 130,
  /** Ended by SIGTERM (128 + 15), likewise. */
  terminated: 143,
} as const;

/** A wrong command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Thrown where the reader of our output has gone: a quiet end. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError';
}

/** Something failed that the command itself found out; the message is the whole line. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The reason of the abort that Ctrl-C or SIGTERM causes. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly exitCode: number;
  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`Ended by ${signal}`);
    this.exitCode = signal === 'SIGINT' ? exitCode.interrupted : exitCode.terminated;
  }
}
