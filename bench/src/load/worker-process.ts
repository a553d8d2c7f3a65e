import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PhaseReport, Tick } from './phase-counts.js';
import type { LoadLimit } from './spec.js';
import type { FromWorker, ToWorker } from './worker-messages.js';

/** The built worker, also when this is run from the sources, as tests do. */
const script = fileURLToPath(new URL('../../dist/load/worker.js', import.meta.url));

/** How long a worker may take to close before it is killed. */
const CLOSE_TIMEOUT_MS = 15_000;

type Reply = Exclude<FromWorker, { type: 'tick' | 'failed' }>;

/** Thrown for what went wrong in a worker. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
}

/** A producer or consumer in a process of its own. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #name: string;
  #waiting: ((message: FromWorker | Error) => void) | undefined;
  #failure: Error | undefined;
  /** Told of what the worker did since the last time, a few times a second. */
  onTick: (tick: Tick) => void = () => undefined;

  constructor(
    readonly role: 'producer' | 'consumer',
    readonly index: number,
  ) {
    this.#name = `${role} ${index}`;
    this.#child = fork(script, { serialization: 'advanced', execArgv: [] });
    this.#child.on('message', (message) => {
      this.#onMessage(message as FromWorker);
    });
    this.#child.once('exit', (code, signal) => {
      this.#fail(`ended by itself (${String(code ?? signal)})`);
    });
  }

  async open(
    message: Omit<Extract<ToWorker, { type: 'open' }>, 'type' | 'role' | 'index'>,
  ): Promise<void> {
    const { role, index } = this;
    await this.#ask({ type: 'open', role, index, ...message }, 'opened');
  }

  /** @throws WorkerError */
  async run(limit: LoadLimit): Promise<PhaseReport> {
    const { report } = await this.#ask({ type: 'run', limit }, 'done');
    return report;
  }

  /** Ends the phase that runs; `run` resolves with what was done. */
  stop(): void {
    if (this.#child.connected) this.#child.send({ type: 'stop' });
  }

  /** Ends the process, in order if it can. Never throws. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    const timer = setTimeout(() => child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    if (child.connected && this.#failure === undefined) child.send({ type: 'close' });
    else child.kill('SIGKILL');
    await exited;
    clearTimeout(timer);
  }

  async #ask<Type extends Reply['type']>(
    message: ToWorker,
    type: Type,
  ): Promise<Extract<Reply, { type: Type }>> {
    if (this.#failure !== undefined) throw this.#failure;
    const answer = new Promise<FromWorker | Error>((resolve) => {
      this.#waiting = resolve;
    });
    this.#child.send(message);
    const reply = await answer;
    if (reply instanceof Error) throw reply;
    if (reply.type !== type) throw new WorkerError(`${this.#name} said ${reply.type}, not ${type}`);
    return reply as Extract<Reply, { type: Type }>;
  }

  #onMessage(message: FromWorker): void {
    if (message.type === 'tick') this.onTick(message.tick);
    else if (message.type === 'failed') this.#fail(message.message);
    else this.#answer(message);
  }

  #fail(message: string): void {
    this.#failure ??= new WorkerError(`${this.#name}: ${message}`);
    this.#answer(this.#failure);
  }

  #answer(message: FromWorker | Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(message);
  }
}
