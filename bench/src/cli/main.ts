import { Command, CommanderError } from 'commander';
import { BenchError, exitCode, messageOf } from '../errors.js';
import { benchVersion } from '../version.js';
import { compareCommand } from './compare-command.js';
import { loadCommand } from './load-command.js';
import { modesCommand } from './modes-command.js';
import { reportCommand } from './report-command.js';
import { zerocopyCommand } from './zerocopy-command.js';

/**
 * The command `millrace-bench`. Exit codes: 0 done, 1 failed, 2 cannot be (one line says why), 130 and
 * 143 ended by Ctrl-C and SIGTERM, with what was measured written all the same.
 *
 * @param argv as `process.argv`.
 */
export async function run(argv: readonly string[]): Promise<void> {
  // A reader that goes (`| head`) takes nothing from a run: what is measured is written to its files.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    process.stderr.write(`millrace-bench: the output cannot be written: ${error.message}\n`);
    process.exitCode = exitCode.failed;
  });
  process.stderr.on('error', () => undefined);
  const program = new Command('millrace-bench')
    .description('Loads brokers, and tells what mmap and sendfile are worth on this machine.')
    .version(benchVersion());
  for (const kind of ['produce', 'consume', 'e2e'] as const) program.addCommand(loadCommand(kind));
  program.addCommand(modesCommand());
  program.addCommand(zerocopyCommand());
  program.addCommand(compareCommand());
  program.addCommand(reportCommand());
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ outputError: () => undefined });
  }
  try {
    await program.parseAsync([...argv]);
    process.exitCode ??= exitCode.ok;
  } catch (error) {
    process.exitCode = codeOf(error);
  }
  // Connections that a failure left behind must not keep the process.
  process.exit();
}

function codeOf(error: unknown): number {
  if (error instanceof CommanderError && error.exitCode === 0) return exitCode.ok;
  const usage = error instanceof CommanderError;
  const message = messageOf(error)
    .replace(/^error: /, '')
    .replace(/\.$/, '');
  process.stderr.write(`millrace-bench: ${message}${usage ? ' (see --help)' : ''}\n`);
  return usage || error instanceof BenchError ? exitCode.impossible : exitCode.failed;
}
