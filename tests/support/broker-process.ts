import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BROKER_NODE_OPTIONS } from '../../bench/src/broker/node-options.js';

const command = fileURLToPath(new URL('../../broker/bin/millrace-broker.js', import.meta.url));

export interface ReadyLine {
  readonly msg: 'ready';
  readonly listen: string;
  readonly http: string;
  readonly mode: string;
  readonly persist: string;
  readonly serve: string;
}

/** The built `millrace-broker` command as a process of its own. */
export class BrokerProcess {
  #ready: ReadyLine | undefined;

  private constructor(
    private readonly child: ChildProcess,
    private readonly output: { text: string },
    private readonly becomesReady: Promise<ReadyLine>,
  ) {
    becomesReady.then(
      (ready) => void (this.#ready = ready),
      // Whoever waits for it is told; others kill it before.
      () => undefined,
    );
  }

  /** Starts it on free ports unless `args` say otherwise; resolves when it has said that it is ready. */
  static async start(
    dataDir: string,
    args: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<BrokerProcess> {
    const broker = BrokerProcess.launch(dataDir, args, environment);
    await broker.untilReady();
    return broker;
  }

  /**
   * As {@link start}, without waiting: it can be stopped while it starts.
   * @param under a command that becomes the broker, as `strace -D`.
   */
  static launch(
    dataDir: string,
    args: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
    under: readonly string[] = [],
  ): BrokerProcess {
    const listen = ['--listen', '127.0.0.1:0', '--http', '127.0.0.1:0'];
    const line = [
      process.execPath,
      ...BROKER_NODE_OPTIONS,
      command,
      '--data-dir',
      dataDir,
      ...listen,
    ];
    const [program = '', ...rest] = [...under, ...line, ...args];
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    const output = { text: '' };
    const ready = new Promise<ReadyLine>((resolve, reject) => {
      const onOutput = (chunk: Buffer): void => {
        output.text += chunk.toString();
        const line = output.text.split('\n').find((text) => text.includes('"msg":"ready"'));
        if (line !== undefined) resolve(JSON.parse(line) as ReadyLine);
      };
      child.stdout.on('data', onOutput);
      child.stderr.on('data', onOutput);
      child.once('exit', (code, signal) => {
        reject(new Error(`the broker ended (${String(code ?? signal)}):\n${output.text}`));
      });
    });
    return new BrokerProcess(child, output, ready);
  }

  /** @throws Error with all that it printed, when it ends before it is ready */
  async untilReady(): Promise<ReadyLine> {
    this.#ready = await this.becomesReady;
    return this.#ready;
  }

  /** What it said when it was ready. */
  get ready(): ReadyLine {
    if (this.#ready === undefined) throw new Error('the broker is not ready yet');
    return this.#ready;
  }

  get address(): string {
    return this.ready.listen;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the broker has no pid');
    return this.child.pid;
  }

  /** It has ended, by itself or not: the exit code, or the signal. */
  get ended(): number | NodeJS.Signals | undefined {
    return this.child.exitCode ?? this.child.signalCode ?? undefined;
  }

  /** Everything it has printed. */
  get log(): string {
    return this.output.text;
  }

  /** Ends it as a crash would; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.stop('SIGKILL');
  }

  /** Sends `signal` and resolves to the exit code once the process is gone; null after a kill. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
    return this.child.exitCode;
  }
}
