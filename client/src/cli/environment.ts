import { Millrace } from '../client.js';
import type { ClientEvent } from '../events.js';
import { InterruptedError } from './exit.js';
import { explain, explainWarning } from './explain.js';

/** After Ctrl-C, what was read is still sent for this long. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What a command runs in; tests give their own. */
export interface Environment {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Address of the broker to talk to. */
  readonly broker: () => string;
}

/** A running command: its client, and the signal that Ctrl-C aborts. */
export interface Session {
  readonly client: Millrace;
  readonly signal: AbortSignal;
  /** Ends the session as Ctrl-C would, for another reason. */
  readonly abort: (reason: Error) => void;
}

/**
 * Connects, runs the work, and closes. Ctrl-C (or SIGTERM) aborts the session's signal; a second
 * one ends the process at once.
 */
export async function withSession(
  environment: Environment,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const interrupt = (signal: 'SIGINT' | 'SIGTERM'): void => {
    const reason = new InterruptedError(signal);
    if (controller.signal.aborted) process.exit(reason.exitCode);
    controller.abort(reason);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const client = new Millrace({
    brokers: environment.broker().split(','),
    clientId: 'millrace-cli',
    closeTimeoutMs: CLOSE_TIMEOUT_MS,
    onEvent: (event) => report(environment, event),
  });
  try {
    await client.connect({ signal: controller.signal });
    await work({ client, signal: controller.signal, abort: (reason) => controller.abort(reason) });
  } finally {
    await client.close().catch(() => undefined);
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** Waiting for a broker that went away must not look like having nothing to read. */
function report({ stderr }: Environment, event: ClientEvent): void {
  if (event.type === 'warning') stderr.write(`millrace: ${explainWarning(event.error)}\n`);
  if (event.type === 'retry' && event.attempt === 3) {
    stderr.write(`millrace: ${explain(event.error)}; still trying (${event.action})\n`);
  }
}
