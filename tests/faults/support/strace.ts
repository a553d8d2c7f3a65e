import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** What becomes of a call: an error, a result without the call being made, or the process's end. */
export type Injection = `error=${string}` | `retval=${string}` | 'signal=KILL';

/** Which calls strace tampers with. It counts the calls of each thread by itself. */
export interface Tampering {
  readonly call: string;
  readonly injection: Injection;
  /** The first one, from 1 on. */
  readonly when: number;
  /** All from that one on, instead of one. */
  readonly andOn?: boolean;
  /** Only calls on these: for those that Node itself needs elsewhere. Default: all. */
  readonly paths?: readonly string[];
}

/** Why there can be no such test here; undefined: there can. */
export function whyNoStrace(): string | undefined {
  const { error, status, stderr } = spawnSync(
    'strace',
    ['-D', '-f', '-e', 'trace=none', '-o', '/dev/null', process.execPath, '--version'],
    { encoding: 'utf8' },
  );
  if (error !== undefined) return 'strace is not installed';
  return status === 0 ? undefined : `strace cannot trace here: ${stderr.trim()}`;
}

/** The command line that becomes a traced process; what strace did goes to the file `output`. */
export function strace(tampering: Tampering, output: string): string[] {
  const { andOn = false, call, injection, paths = [], when } = tampering;
  return [
    ...['strace', '-D', '-f', '-qq', '-e', 'signal=none', '-e', `trace=${call}`, '-o', output],
    // Not --seccomp-bpf, which would be faster: with it strace 6.1 misses the later calls of threads.
    ...paths.flatMap((path) => ['-P', path]),
    ...['-e', `inject=${call}:${injection}:when=${when}${andOn ? '+' : ''}`],
  ];
}

/** How often it tampered so far. */
export function injectedIn(output: string): number {
  try {
    return readFileSync(output, 'utf8').split('(INJECTED)').length - 1;
  } catch {
    return 0;
  }
}

/** The files below a data directory, and those beside them that are written before a rename. */
export async function pathsOf(directory: string): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) paths.push(path, ...(await pathsOf(path)));
    else paths.push(path, ...(path.endsWith('.json') ? [`${path}.tmp`] : []));
  }
  return paths;
}
