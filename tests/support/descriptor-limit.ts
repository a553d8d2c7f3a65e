import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';

/** `Max open files  <soft>  <hard>` in proc_pid_limits(5). */
const SOFT_LIMIT = /^Max open files\s+(\d+)/m;

/**
 * Takes this process's right to open files away and gives it back, by prlimit(1) from outside: what is
 * open stays open, and whatever opens something more gets `EMFILE`.
 */
export class DescriptorLimit {
  private constructor(
    private readonly shell: ReturnType<typeof spawn>,
    private readonly answers: AsyncIterator<string>,
    private readonly soft: string,
  ) {}

  static async control(): Promise<DescriptorLimit> {
    const soft = SOFT_LIMIT.exec(await readFile('/proc/self/limits', 'utf8'))?.[1] ?? '1024';
    const script = 'while read -r n; do prlimit --pid "$PPID" --nofile="$n:" && echo "$n"; done';
    const shell = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const answers = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
    return new DescriptorLimit(shell, answers, soft);
  }

  /** From now on nothing more can be opened. */
  async exhaust(): Promise<void> {
    await this.#set('1');
  }

  async restore(): Promise<void> {
    await this.#set(this.soft);
  }

  /** Restores the limit and ends the helper. */
  async close(): Promise<void> {
    await this.restore();
    const exited = once(this.shell, 'exit');
    this.shell.stdin?.end();
    await exited;
  }

  async #set(limit: string): Promise<void> {
    this.shell.stdin?.write(`${limit}\n`);
    const answer = await this.answers.next();
    if (answer.value !== limit) throw new Error(`the limit could not be set to ${limit}`);
  }
}
