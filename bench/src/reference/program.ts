import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDirectory } from '../cli/data-dir.js';
import { BenchError, messageOf } from '../errors.js';
import { findProgram } from '../servers/find-program.js';

const packageFile = (path: string): string =>
  fileURLToPath(new URL(`../../${path}`, import.meta.url));
const ofPackage = {
  source: packageFile('native/reference.c'),
  built: packageFile('build/reference'),
};
const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra'];

/**
 * The built `native/reference.c`: that of the package where it is not older than the source, else one that
 * is compiled now, into the package or, where nobody may write there, for this run alone.
 *
 * @param parent where it is compiled for this run alone; undefined: the temporary directory of the system.
 * @param files where the source is, and where what is built of it goes; by default in this package.
 * @returns its path.
 * @throws BenchError in one line where it cannot be had: no Linux, no compiler, or an error of it.
 */
export async function referenceProgram(parent?: string, files = ofPackage): Promise<string> {
  if (process.platform !== 'linux') throw new BenchError('the plain C loop is for Linux');
  if (isFresh(files)) return files.built;
  const compiler = ['cc', 'gcc', 'clang'].find((name) => findProgram(name) !== undefined);
  if (compiler === undefined) {
    throw new BenchError('the plain C loop needs a C compiler (Debian: gcc libc6-dev)');
  }
  // Compiled beside and renamed: another run may be starting the old one, or doing the same.
  const directory = await buildDirectory(files.built, parent);
  const temporary = mkdtempSync(join(directory, '.reference-'));
  try {
    const output = join(temporary, 'reference');
    compile(compiler, files.source, output);
    const program = join(directory, 'reference');
    renameSync(output, program);
    return program;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function isFresh({ built, source }: typeof ofPackage): boolean {
  const program = statSync(built, { throwIfNoEntry: false });
  const its = statSync(source, { throwIfNoEntry: false });
  return program !== undefined && (its === undefined || program.mtimeMs >= its.mtimeMs);
}

async function buildDirectory(built: string, parent: string | undefined): Promise<string> {
  const directory = dirname(built);
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    return directory;
  } catch {
    return makeDirectory(parent);
  }
}

function compile(compiler: string, source: string, output: string): void {
  try {
    execFileSync(compiler, [...flags, '-o', output, source], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const complaint = stderr?.split('\n').find((line) => /error/i.test(line)) ?? messageOf(error);
    throw new BenchError(`the plain C loop does not compile here: ${complaint}`, { cause: error });
  }
}
