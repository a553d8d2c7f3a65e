import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** None may outlive this process; `reference.c` sees to that too, for when this one is killed. */
const running = new Set<LoopProcess>();
process.prependListener('exit', () => {
  for (const loop of running) loop.kill();
});

/** One of the loops of `reference.c`, as a process; it says what it did in lines of JSON. */
export class LoopProcess {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #lines: AsyncIterator<string, undefined>;
  #problem = '';

  constructor(
    program: string,
    private readonly args: readonly string[],
  ) {
    // A group of its own: Ctrl-C is for us.
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#problem += chunk.toString();
    });
    this.#child.once('error', (error) => {
      this.#problem += error.message;
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    running.add(this);
    this.#child.once('close', () => running.delete(this));
  }

  /** What it says next. @throws Error with its own words when it ended without. */
  async next(): Promise<unknown> {
    const { value } = await this.#lines.next();
    if (value !== undefined) return JSON.parse(value) as unknown;
    await this.ended();
    const words = this.#problem.trim() || `it ended with ${String(this.#child.exitCode)}`;
    throw new Error(`the plain C loop (${this.args.slice(0, 2).join(' ')}): ${words}`);
  }

  /** Resolves when it is gone. */
  async ended(): Promise<void> {
    if (running.has(this)) await once(this.#child, 'close');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
