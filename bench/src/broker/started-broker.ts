import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { BenchError } from '../errors.js';
import { BROKER_NODE_OPTIONS } from './node-options.js';

/** Where the broker's command is: in the package that users install. */
const command = join(
  dirname(createRequire(import.meta.url).resolve('@millrace/broker')),
  '../bin/millrace-broker.js',
);

/** How long a broker may take to stop before it is killed. */
const STOP_TIMEOUT_MS = 30_000;
/** The last lines of its log that are told when it cannot start. */
const TOLD_LOG_BYTES = 2_000;

interface ReadyLine {
  readonly listen: string;
  readonly http: string;
  readonly mode: string;
  readonly persist: string;
  readonly serve: string;
}

export interface BrokerStart {
  readonly dataDir: string;
  /** Further options of `millrace-broker`. */
  readonly args?: readonly string[];
  /** `host` to listen on. Default 127.0.0.1; the ports are free ones. */
  readonly host?: string;
  /** What comes before the command: `ip netns exec NAME`, `strace …`. */
  readonly prefix?: readonly string[];
}

/** A broker that was started here, by the command that users run. */
export class StartedBroker {
  private constructor(
    private readonly child: ChildProcess,
    private readonly start: BrokerStart,
    readonly ready: ReadyLine,
  ) {}

  /**
   * Starts one and resolves when it is ready.
   *
   * @throws BenchError with the broker's own words when it cannot run as asked.
   */
  static async start(start: BrokerStart): Promise<StartedBroker> {
    const { args = [], dataDir, host = '127.0.0.1', prefix = [] } = start;
    const listen = ['--listen', `${host}:0`, '--http', `${host}:0`];
    const node = [process.execPath, ...BROKER_NODE_OPTIONS];
    const line = [...prefix, ...node, command, '--data-dir', dataDir, ...listen, ...args];
    const [program = '', ...rest] = line;
    // A group of its own: Ctrl-C is for us, and what was measured is told before the broker stops.
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    running.add(child);
    child.once('exit', () => running.delete(child));
    let output = '';
    let problem = '';
    const ready = await new Promise<ReadyLine>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        if (output.length > 2 ** 20) return;
        output += chunk.toString();
        const found = output.split('\n').find((text) => text.includes('"msg":"ready"'));
        if (found !== undefined) resolve(JSON.parse(found) as ReadyLine);
      });
      child.stderr.on('data', (chunk: Buffer) => {
        problem = (problem + chunk.toString()).slice(-TOLD_LOG_BYTES);
      });
      child.once('error', reject);
      // `close` comes after the last of its output.
      child.once('close', (code, signal) => {
        const words = problem.trim().replace(/^millrace-broker: /, '');
        const reason = words === '' ? `it ended with ${String(code ?? signal)}` : words;
        reject(new BenchError(`the broker did not start: ${reason}`));
      });
    });
    return new StartedBroker(child, start, ready);
  }

  get address(): string {
    return this.ready.listen;
  }

  get httpAddress(): string {
    return this.ready.http;
  }

  get dataDir(): string {
    return this.start.dataDir;
  }

  /** Stops it and starts it again on the same data, on other ports. */
  async restart(
    whileStopped: () => Promise<void> = () => Promise.resolve(),
  ): Promise<StartedBroker> {
    await this.stop();
    await whileStopped();
    return StartedBroker.start(this.start);
  }

  /** Stops it in order, or by force when that takes too long. Idempotent. */
  async stop(): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    signalGroup(child, 'SIGTERM');
    const timer = setTimeout(() => {
      signalGroup(child, 'SIGKILL');
    }, STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }
}

/** None may outlive this process, however it ends, nor write to directories that are removed then. */
const running = new Set<ChildProcess>();
process.prependListener('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
});

/** The broker, and what it was started by: `strace` passes no signals on. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone already.
  }
}
