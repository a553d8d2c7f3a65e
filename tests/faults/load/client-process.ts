import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FinalLog } from '../checker/history.js';
import type { HistoryRecorder } from '../checker/recorder.js';
import type { LoadOptions } from './load.js';
import type { LoadAnswer, LoadOrder } from './load-messages.js';

const script = fileURLToPath(new URL('load-process.ts', import.meta.url));
const typescript = new URL('../../support/typescript.js', import.meta.url).href;

/** A load in a process of its own, over the built SDK, that can be stopped and goes on. */
export class ClientProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Set<(answer: LoadAnswer | undefined) => void>();
  /** Messages acknowledged, and records read, as last told. */
  acknowledged = 0;
  read = 0;

  private constructor() {
    this.#child = fork(script, [], {
      execArgv: ['--import', typescript],
      // Histories have an Infinity in them.
      serialization: 'advanced',
    });
    this.#child.on('message', (answer: LoadAnswer) => {
      if (answer.type === 'progress')
        ({ acknowledged: this.acknowledged, read: this.read } = answer);
      for (const tell of this.#waiting) tell(answer);
    });
    this.#child.on('exit', () => {
      for (const tell of this.#waiting) tell(undefined);
    });
  }

  static launch(): ClientProcess {
    return new ClientProcess();
  }

  /** The topics have to be there. */
  async start(address: string, seed: number, options: LoadOptions): Promise<void> {
    await this.#ask({ type: 'start', address, seed, options }, 'started');
  }

  /** SIGSTOP */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  /** It sends no more, and knows the fate of each message. */
  async settle(): Promise<void> {
    await this.#ask({ type: 'settle' }, 'settled');
  }

  /**
   * It reads up to the end of the logs, and ends.
   *
   * @returns codes of errors that reached the application, and what ended an iteration
   */
  async finish(logs: readonly FinalLog[], history: HistoryRecorder): Promise<readonly string[]> {
    const done = await this.#ask({ type: 'catch-up', logs }, 'done');
    if (done.type !== 'done') throw new Error('it is not done');
    history.merge(done.history);
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
    return done.troubles;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** @throws Error when the process ends instead */
  async #ask(order: LoadOrder, wanted: LoadAnswer['type']): Promise<LoadAnswer> {
    return await new Promise((resolve, reject) => {
      const tell = (answer: LoadAnswer | undefined): void => {
        if (answer !== undefined && answer.type !== wanted) return;
        this.#waiting.delete(tell);
        if (answer === undefined) reject(new Error(`a client process ended before it ${wanted}`));
        else resolve(answer);
      };
      this.#waiting.add(tell);
      this.#child.send(order);
    });
  }
}
