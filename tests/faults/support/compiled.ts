import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What is made of a C file of `support/c`: a program, or a library for `LD_PRELOAD`. */
export type CompiledKind = 'program' | 'library';

const sources = fileURLToPath(new URL('c/', import.meta.url));
const compiler = process.env['CC'] ?? 'cc';
const flags = { program: ['-pthread'], library: ['-shared', '-fPIC', '-ldl'] } as const;

/**
 * Compiles `support/c/<name>.c` with the compiler that the native module needs too (`CC`, else `cc`), and
 * returns where the result is until this process ends.
 * @throws Error with what the compiler said.
 */
export function compiled(name: string, kind: CompiledKind): string {
  const known = results.get(name);
  if (known !== undefined) return known;
  const path = join(outputDirectory(), kind === 'library' ? `${name}.so` : name);
  const source = join(sources, `${name}.c`);
  execFileSync(compiler, ['-O1', '-Wall', '-Werror', '-o', path, source, ...flags[kind]], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  results.set(name, path);
  return path;
}

/** Why nothing can be compiled here, in a line; undefined where it can. */
export function missingCompiler(): string | undefined {
  try {
    execFileSync(compiler, ['--version'], { stdio: 'ignore' });
    return process.platform === 'linux' ? undefined : 'it needs Linux';
  } catch {
    return `it needs a C compiler, and ${compiler} is none`;
  }
}

const results = new Map<string, string>();
let directory: string | undefined;

function outputDirectory(): string {
  if (directory !== undefined) return directory;
  const made = mkdtempSync(join(tmpdir(), 'millrace-test-c-'));
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  directory = made;
  return made;
}
