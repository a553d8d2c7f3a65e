import { CommanderError } from 'commander';
import type { Command } from 'commander';
import { commanderOutput } from './output.js';

/** The command line is wrong, or what it names cannot be worked on. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Reads the arguments of a tool.
 * @returns false when they asked for help, which is given then.
 * @throws UsageError
 */
export function parseTool(command: Command, args: readonly string[]): boolean {
  command.allowExcessArguments(false).exitOverride().configureOutput(commanderOutput);
  try {
    command.parse([...args], { from: 'user' });
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return false;
    const message = error.message.replace(/^error: /, '');
    throw new UsageError(`${message}; see ${command.name()} --help`, { cause: error });
  }
}
