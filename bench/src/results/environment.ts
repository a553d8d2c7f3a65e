import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, hostname, release, totalmem, type as osType } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Environment } from './schema.js';

/**
 * What this machine is.
 *
 * @param dataDir where a broker that was started here stores.
 */
export function describeEnvironment(dataDir?: string): Environment {
  const all = cpus();
  return {
    host: hostname(),
    kernel: `${osType()} ${release()}`,
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    node: process.version,
    filesystem: dataDir === undefined ? undefined : filesystemOf(dataDir),
    commit: commitOfCheckout(),
    container: existsSync('/.dockerenv') || existsSync('/run/.containerenv'),
  };
}

/** `ext4 on /dev/vda`, of the mount that holds the path. */
function filesystemOf(path: string): string | undefined {
  try {
    let best: readonly string[] = [];
    for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
      const [device = '', mount = '', type = ''] = line.split(' ');
      const holds = path === mount || path.startsWith(mount.endsWith('/') ? mount : `${mount}/`);
      if (mount !== '' && holds && mount.length >= (best[1] ?? '').length)
        best = [device, mount, type];
    }
    return best.length === 0 ? undefined : `${best[2] ?? ''} on ${best[0] ?? ''}`;
  } catch {
    return undefined; // not Linux
  }
}

function commitOfCheckout(): string | undefined {
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const git = (...args: readonly string[]): string =>
    execFileSync('git', args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const changes = git('status', '--porcelain', '--untracked-files=no');
    return git('rev-parse', '--short=12', 'HEAD') + (changes === '' ? '' : '+');
  } catch {
    return undefined; // no checkout, or no git
  }
}
