import { createInterface } from 'node:readline';
import { raceAbort } from '../util/async.js';
import type { Environment } from './environment.js';
import { CommandError, UsageError } from './exit.js';

/**
 * Asks before what cannot be undone. `--yes` answers for scripts; without a terminal to ask at,
 * and without it, nothing is done.
 *
 * @param question what is about to happen, such as `Delete everything?`
 * @throws UsageError where nobody can be asked; CommandError when the answer is no; the signal's
 *   reason.
 */
export async function confirm(
  { stdin, stderr }: Environment,
  question: string,
  { yes, signal }: { readonly yes: boolean; readonly signal: AbortSignal },
): Promise<void> {
  if (yes) return;
  checkCanAsk({ stdin, stderr });
  stderr.write(`${question} [y/N] `);
  const answer = await raceAbort(firstLineOf(stdin, signal), signal);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('nothing was done');
}

/** @throws UsageError where there is no terminal to ask at. */
export function checkCanAsk({ stdin, stderr }: Pick<Environment, 'stdin' | 'stderr'>): void {
  if (stdin.isTTY && stderr.isTTY) return;
  throw new UsageError('this cannot be undone, and there is no terminal to ask at: give --yes');
}

/** What is typed up to the first Enter; nothing where the input ends before. */
async function firstLineOf(input: NodeJS.ReadStream, signal: AbortSignal): Promise<string> {
  // The terminal itself edits the line, and turns Ctrl-C into a signal. Closing pauses the input,
  // which would keep the process alive.
  const lines = createInterface({ input, terminal: false, signal });
  try {
    return await new Promise<string>((resolve) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(''));
    });
  } finally {
    lines.close();
  }
}
