import { execFile } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BenchError, messageOf } from '../errors.js';

const run = promisify(execFile);
/** Paths in one command line. */
const AT_A_TIME = 200;
/** Pages that are under way or locked are dropped by another attempt. */
const ATTEMPTS = 5;

export interface Residency {
  readonly residentBytes: number;
  readonly totalBytes: number;
}

/** The segment files of a data directory. */
export function segmentFiles(dataDir: string): readonly string[] {
  return readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.log'))
    .map((name) => join(dataDir, name));
}

/**
 * Drops the pages of the segments from the page cache, and verifies with `fincore` that they are gone.
 * Only the files of a stopped broker: what is mapped or being written stays.
 *
 * @throws BenchError when pages stay, or one of the commands is missing.
 */
export async function dropPages(dataDir: string): Promise<Residency> {
  const files = segmentFiles(dataDir);
  let residency: Residency = { residentBytes: 0, totalBytes: 0 };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    for (const file of files) await dropFile(file);
    residency = await residencyOf(files);
    if (residency.residentBytes === 0) return residency;
  }
  const { residentBytes, totalBytes } = residency;
  throw new BenchError(
    `${residentBytes} of ${totalBytes} bytes of ${dataDir} stay in the page cache: somebody else ` +
      'has them open, or the filesystem keeps them in memory (tmpfs); use --data-dir on a disk',
  );
}

async function dropFile(path: string): Promise<void> {
  // Dirty pages are not dropped.
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  // dd with nothing to copy is the way to posix_fadvise(POSIX_FADV_DONTNEED) from a command.
  await command('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'], 'coreutils');
}

async function residencyOf(files: readonly string[]): Promise<Residency> {
  let residentBytes = 0;
  let totalBytes = 0;
  for (let from = 0; from < files.length; from += AT_A_TIME) {
    const some = files.slice(from, from + AT_A_TIME);
    const args = ['--bytes', '--noheadings', '--output', 'RES,SIZE', ...some];
    const output = await command('fincore', args, 'util-linux (or util-linux-extra)');
    for (const line of output.trim().split('\n')) {
      const [resident = 0, size = 0] = line.trim().split(/\s+/).map(Number);
      residentBytes += resident;
      totalBytes += size;
    }
  }
  return { residentBytes, totalBytes };
}

async function command(name: string, args: readonly string[], from: string): Promise<string> {
  try {
    return (await run(name, args)).stdout;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new BenchError(
      missing
        ? `--cold needs the command ${name}: install ${from}`
        : `--cold: ${name} failed: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
