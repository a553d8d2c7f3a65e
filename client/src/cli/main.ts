import { Command, CommanderError, Option } from 'commander';
import { DEFAULT_PORT } from '../net/default-port.js';
import { oneLine, shortened } from '../util/text.js';
import { CLIENT_VERSION } from '../version.js';
import { clusterCommand } from './cluster.js';
import { completeCommand, completionCommand } from './completion.js';
import { consumeCommand } from './consume.js';
import type { Environment } from './environment.js';
import { exitCode, InterruptedError, OutputClosedError } from './exit.js';
import { groupCommand } from './group.js';
import { produceCommand } from './produce.js';
import { topicCommand } from './topic.js';

/**
 * Runs the `millrace` command and sets the process's exit code: 0 done, 1 failed (one line on
 * stderr says why), 2 wrong usage, 130 ended by Ctrl-C, 143 by SIGTERM.
 *
 * What is imported here says only what commands there are: each loads what it does when it runs,
 * from `actions/`, since most of a short command's time goes into loading modules.
 *
 * @param argv as `process.argv`
 */
export async function run(argv: readonly string[]): Promise<void> {
  const program = new Command('millrace');
  const broker = (): string => program.opts<{ broker: string }>().broker;
  const { stdin, stdout, stderr } = process;
  const environment: Environment = { stdin, stdout, stderr, broker };
  // A reader that has gone is dealt with where the output is written; nothing else may crash.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exitCode = exitCode.failed;
  });
  stderr.on('error', () => undefined);
  program
    .description('Command line of the millrace message broker.')
    .version(CLIENT_VERSION)
    .addOption(
      new Option('-b, --broker <host:port>', 'the broker to talk to (several: with commas)')
        .env('MILLRACE_BROKER')
        .default(`127.0.0.1:${DEFAULT_PORT}`),
    );
  for (const command of [
    topicCommand(environment),
    produceCommand(environment),
    consumeCommand(environment),
    groupCommand(environment),
    clusterCommand(environment),
    completionCommand(environment),
  ]) {
    program.addCommand(command);
  }
  program.addCommand(completeCommand(program, environment), { hidden: true });
  everyCommand(program, (command) => {
    command.exitOverride().configureOutput({
      outputError: (text, write) => write(`millrace: ${usage(text, command)}\n`),
    });
  });
  try {
    await program.parseAsync(argv);
    process.exitCode ??= exitCode.ok;
  } catch (error) {
    process.exitCode = await codeOf(error, broker());
  }
}

function everyCommand(command: Command, apply: (command: Command) => void): void {
  apply(command);
  for (const child of command.commands) everyCommand(child, apply);
}

/** What commander says of a wrong command line, as the other errors look. */
function usage(text: string, command: Command): string {
  const words = oneLine(text)
    .replace(/^error: /, '')
    .replace(/\S{81,}/g, shortened);
  const hint = words.includes('Did you mean') ? '' : completed(words, command);
  return `${words.replace(/\.$/, '')}${hint} (\`${pathOf(command)} --help\` tells more)`;
}

/** Commander suggests what is misspelt, but not what is cut short. */
function completed(words: string, { commands }: Command): string {
  const typed = /^unknown command '([^']+)'$/.exec(words)?.[1];
  if (typed === undefined) return '';
  const names = commands.map((child) => child.name()).filter((name) => name.startsWith(typed));
  return names.length === 0 ? '' : ` (Did you mean ${names.join(' or ')}?)`;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** The exit code for what ended a command; prints the line that goes with it. */
async function codeOf(error: unknown, broker: string): Promise<number> {
  // Commander has printed its own.
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
  }
  if (error instanceof OutputClosedError) return exitCode.ok;
  if (error instanceof InterruptedError) return error.exitCode;
  const { explain, isWrongUsage } = await import('./explain.js');
  process.stderr.write(`millrace: ${explain(error, broker)}\n`);
  return isWrongUsage(error) ? exitCode.usage : exitCode.failed;
}
