import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from '@jest/globals';
import type { ResultFile } from '../../../bench/src/results/schema.js';
import { makeTempDir } from '../../support/temp-dir.js';

const command = fileURLToPath(new URL('../../../bench/bin/millrace-bench.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOfRun {
  readonly pid: number;
  /** Its command line. */
  readonly line: string;
}

/** A run of the command that is under way. */
export interface Running {
  readonly child: ChildProcess;
  /** Resolves when it has said this on either stream; rejects when it ends without. */
  readonly says: (pattern: RegExp) => Promise<void>;
  readonly outcome: Promise<Outcome>;
}

/** The built command `millrace-bench`, in a temporary directory of its own. */
export class BenchCommand {
  private constructor(
    readonly directory: string,
    readonly remove: () => Promise<void>,
  ) {}

  static async make(): Promise<BenchCommand> {
    const { path, remove } = await makeTempDir();
    return new BenchCommand(path, remove);
  }

  get results(): string {
    return join(this.directory, 'results');
  }

  /** What runs leave in the temporary directory: nothing. */
  leftovers(): readonly string[] {
    return readdirSync(this.directory).filter((name) => name.startsWith('millrace-bench-'));
  }

  /** Processes of runs in this directory; on Linux only. */
  processes(): readonly ProcessOfRun[] {
    if (!existsSync('/proc/self/environ')) return [];
    return readdirSync('/proc').flatMap((pid) => {
      if (!/^\d+$/.test(pid)) return [];
      try {
        const [environment, line] = (['environ', 'cmdline'] as const).map((name) =>
          readFileSync(`/proc/${pid}/${name}`, 'utf8').split('\0'),
        );
        const isOurs = environment?.includes(`TMPDIR=${this.directory}`);
        return isOurs === true ? [{ pid: Number(pid), line: line?.join(' ') ?? '' }] : [];
      } catch {
        return []; // It has ended, or is somebody else's.
      }
    });
  }

  start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
    const env = { ...process.env, TMPDIR: this.directory, ...environment };
    const child = spawn(process.execPath, [command, ...args], {
      ...{ env, cwd: this.directory },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    const listeners = new Set<() => void>();
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        said[name] += chunk.toString();
        for (const listener of listeners) listener();
      });
    }
    const outcome = once(child, 'close').then(() => ({ code: child.exitCode, ...said }));
    const says = (pattern: RegExp): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(said.stdout) || pattern.test(said.stderr)) resolve();
        };
        listeners.add(look);
        look();
        void outcome.then(({ code, stderr }) => {
          reject(new Error(`it ended with ${String(code)}: ${stderr}`));
        });
      });
    return { child, says, outcome };
  }

  run(...args: readonly string[]): Promise<Outcome> {
    return this.start(args).outcome;
  }

  /** Runs a command that measures to its end, and reads its result. */
  async measured(...args: readonly string[]): Promise<ResultFile> {
    const output = ['--results', this.results, '--json'];
    const outcome = await this.run(...args, ...output);
    expect({ code: outcome.code, stderr: outcome.stderr }).toMatchObject({ code: 0 });
    return JSON.parse(outcome.stdout) as ResultFile;
  }
}
