import { spawn } from 'node:child_process';

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: none. */
  readonly input?: string;
}

/** Runs a command to its end, whatever its exit code. */
export function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, ...options.environment } });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ status: code ?? -1, ...output });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/**
 * Runs a command that must succeed.
 * @returns what it printed on stdout.
 * @throws Error with what it printed, when its exit code is not 0.
 */
export async function must(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { status, stdout, stderr } = await run(program, args, options);
  if (status === 0) return stdout.trim();
  throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
}

/** `docker …`, which must succeed; resolves to its stdout. */
export function docker(...args: readonly string[]): Promise<string> {
  return must('docker', args);
}

/** A variable that `tests/docker/run.js` sets. */
export function fromRunner(name: 'IMAGE' | 'LABEL' | 'PROJECT'): string {
  const value = process.env[`MILLRACE_TEST_${name}`];
  if (value === undefined) throw new Error('run these tests by `npm run test:docker`');
  return value;
}
