import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from '../errors.js';

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 20;

/** None may outlive this process, nor write to directories that are removed when it ends. */
const running = new Set<{ kill(signal: NodeJS.Signals): boolean }>();
process.prependListener('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Another product's server, started for a comparison. */
export interface ServerProcess {
  /** `host:port`. */
  readonly address: string;
  stop(): Promise<void>;
}

/**
 * Starts a server on a free port of loopback, and waits until it takes connections.
 *
 * @param argumentsFor its command line, given the port.
 * @throws BenchError when it is not installed or does not start.
 */
export async function startServer(
  program: string,
  argumentsFor: (port: number) => readonly string[],
): Promise<ServerProcess> {
  const port = await freePort();
  // A group of its own: Ctrl-C is for us.
  const child = spawn(program, argumentsFor(port), {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-2_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await takesConnections(port))) {
    if (failure !== undefined || ended() || performance.now() > deadline) {
      child.kill('SIGKILL');
      const reason = failure?.message ?? (output.trim() || 'it takes no connections');
      throw new BenchError(`${program} did not start: ${reason}`, { cause: failure });
    }
    await sleep(LOOK_EVERY_MS);
  }
  const stop = async (): Promise<void> => {
    if (ended()) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  return { address: `127.0.0.1:${port}`, stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
