/**
 * What was asked for cannot be: a wrong command line, a mode that this machine lacks, a broker that is
 * not there, a disk too small. Printed as one line; the exit code is 2.
 */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}

export const exitCode = {
  ok: 0,
  failed: 1,
  impossible: 2,
  interrupted: 130,
  terminated: 143,
} as const;

/** The message of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().replace(/\s*\n\s*/g, ' ');
}
