import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../../broker/bin/millrace-broker.js', import.meta.url));

/** The built broker as a process, to be killed and started again on the same data and port. */
export class RealBroker {
  readonly #directory = mkdtempSync(join(tmpdir(), 'millrace-sdk-'));
  #child: ChildProcess | undefined;
  address = '127.0.0.1:0';

  async start(): Promise<void> {
    const args = ['--data-dir', join(this.#directory, 'data'), '--listen', this.address];
    const child = spawn(process.execPath, [bin, ...args, '--http', '127.0.0.1:0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const entry = JSON.parse(line) as { msg?: string; listen?: string };
      if (entry.msg !== 'ready') continue;
      this.address = entry.listen ?? this.address;
      child.stdout.resume();
      return;
    }
    throw new Error('The broker ended before it was ready');
  }

  /** `kill -9` */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
