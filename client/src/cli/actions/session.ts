import { Admin } from '../../admin.js';
import type { Millrace } from '../../client.js';
import type { ClientEvent } from '../../events.js';
import { openCluster } from '../../open-cluster.js';
import { resolveClientOptions, type ClientOptions } from '../../options.js';
import type { Environment } from '../environment.js';
import { InterruptedError } from '../exit.js';
import { explain, explainWarning } from '../explain.js';

/** After Ctrl-C, what was read is still sent for this long. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What every running command has. */
interface Session {
  /** Ctrl-C aborts it. */
  readonly signal: AbortSignal;
}

/** A command that asks or changes something. */
export interface AdminSession extends Session {
  readonly admin: Admin;
}

/** A command that sends or reads messages. */
export interface ClientSession extends Session {
  readonly client: Millrace;
  /** Ends the session as Ctrl-C would, for another reason. */
  readonly abort: (reason: Error) => void;
}

/** As {@link withClient}, without loading what sends and reads messages. */
export function withAdmin(
  environment: Environment,
  work: (session: AdminSession) => Promise<void>,
): Promise<void> {
  return interruptible(async ({ signal }) => {
    const cluster = openCluster(resolveClientOptions(clientOptions(environment)));
    try {
      await cluster.anyConnection(signal);
      await work({ admin: new Admin(cluster), signal });
    } finally {
      cluster.pool.close();
    }
  });
}

/**
 * Connects, runs the work, and closes. Ctrl-C (or SIGTERM) aborts the session's signal; a second
 * one ends the process at once.
 */
export function withClient(
  environment: Environment,
  work: (session: ClientSession) => Promise<void>,
): Promise<void> {
  return interruptible(async (controller) => {
    const { signal } = controller;
    const { Millrace } = await import('../../client.js');
    const client = new Millrace(clientOptions(environment));
    try {
      await client.connect({ signal });
      await work({ client, signal, abort: (reason) => controller.abort(reason) });
    } finally {
      await client.close().catch(() => undefined);
    }
  });
}

async function interruptible(work: (controller: AbortController) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const interrupt = (signal: 'SIGINT' | 'SIGTERM'): void => {
    const reason = new InterruptedError(signal);
    if (controller.signal.aborted) process.exit(reason.exitCode);
    controller.abort(reason);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    await work(controller);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

function clientOptions(environment: Environment): ClientOptions {
  return {
    brokers: environment.broker().split(','),
    clientId: 'millrace-cli',
    closeTimeoutMs: CLOSE_TIMEOUT_MS,
    onEvent: (event) => report(environment, event),
  };
}

/** Waiting for a broker that went away must not look like having nothing to read. */
function report({ stderr }: Environment, event: ClientEvent): void {
  if (event.type === 'warning') stderr.write(`millrace: ${explainWarning(event.error)}\n`);
  if (event.type === 'retry' && event.attempt === 3) {
    stderr.write(`millrace: ${explain(event.error)}; still trying (${event.action})\n`);
  }
}
