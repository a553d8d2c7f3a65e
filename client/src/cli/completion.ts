import { Argument, Command } from 'commander';
import { Millrace } from '../client.js';
import { raceAbort } from '../util/async.js';
import { complete, wordsOf, type Completion, type NameLookup } from './complete.js';
import { completionScripts, FILES_LINE, shells, type Shell } from './completion-scripts.js';
import type { Environment } from './environment.js';

/** Who has pressed Tab does not wait longer for names, in milliseconds. */
const LOOKUP_TIMEOUT_MS = 1_000;

/** `millrace completion bash|zsh|fish`: prints the script that a shell is to read. */
export function completionCommand({ stdout }: Environment): Command {
  return new Command('completion')
    .description('print what makes a shell complete millrace commands with Tab')
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText(
      'after',
      '\nFor good:\n' +
        `  bash  echo 'eval "$(millrace completion bash)"' >> ~/.bashrc\n` +
        `  zsh   echo 'eval "$(millrace completion zsh)"' >> ~/.zshrc   (after compinit)\n` +
        '  fish  millrace completion fish > ~/.config/fish/completions/millrace.fish\n\n' +
        'Names of topics and groups come from the broker, when it answers within a second.',
    )
    .action((shell: Shell) => {
      stdout.write(completionScripts[shell]);
    });
}

/**
 * `millrace __complete SHELL …`: what the scripts call. bash gives the line up to the cursor, as
 * its words are split in another way; the others the words after the program's name. Prints a
 * candidate a line, with its description behind a tab, and never fails.
 */
export function completeCommand(program: Command, { stdout, broker }: Environment): Command {
  return new Command('__complete')
    .argument('<shell>')
    .argument('[words...]')
    .helpOption(false)
    .action(async (shell: string, given: readonly string[]) => {
      const words = shell === 'bash' ? wordsOf(given[0] ?? '').slice(1) : given;
      const names: NameLookup = {
        topics: (other) =>
          lookUp(other ?? broker(), async ({ admin }) =>
            (await admin.listTopics()).map(({ name }) => name),
          ),
        groups: (other) =>
          lookUp(other ?? broker(), async ({ admin }) =>
            (await admin.listGroups()).map(({ groupId }) => groupId),
          ),
      };
      stdout.write(textOf(await complete(program, words, names), shell !== 'bash'));
    });
}

function textOf(completion: Completion, withDescriptions: boolean): string {
  if (completion === 'files') return `${FILES_LINE}\n`;
  return completion
    .map(({ value, description }) =>
      withDescriptions ? `${value}\t${description}\n` : `${value}\n`,
    )
    .join('');
}

/** Names that a broker tells in time; none where it does not. */
async function lookUp(
  brokers: string,
  ask: (client: Millrace) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  try {
    await using client = new Millrace({
      brokers: brokers.split(','),
      clientId: 'millrace-completion',
      connectTimeoutMs: LOOKUP_TIMEOUT_MS / 2,
      requestTimeoutMs: LOOKUP_TIMEOUT_MS / 2,
    });
    return await raceAbort(ask(client), AbortSignal.timeout(LOOKUP_TIMEOUT_MS));
  } catch {
    return [];
  }
}
