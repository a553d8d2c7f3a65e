import { Argument, Command } from 'commander';
import { completionScripts, shells, type Shell } from './completion-scripts.js';
import type { Environment } from './environment.js';

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

/** `millrace __complete SHELL …`: what the scripts call. */
export function completeCommand(program: Command, environment: Environment): Command {
  return new Command('__complete')
    .argument('<shell>')
    .argument('[words...]')
    .helpOption(false)
    .action(async (shell: string, words: readonly string[]) => {
      const { printCandidates } = await import('./actions/complete.js');
      await printCandidates(program, environment, shell, words);
    });
}
