import type { Command } from 'commander';
import { complete, wordsOf, type Completion, type NameLookup } from '../complete.js';
import { FILES_LINE } from '../completion-scripts.js';
import type { Environment } from '../environment.js';

/**
 * What the scripts of shells call. bash gives the line up to the cursor, as its words are split in
 * another way; the others the words after the program's name. Prints a candidate a line, with its
 * description behind a tab, and never fails.
 */
export async function printCandidates(
  program: Command,
  { stdout, broker }: Environment,
  shell: string,
  given: readonly string[],
): Promise<void> {
  const words = shell === 'bash' ? wordsOf(given[0] ?? '').slice(1) : given;
  // Most of what Tab is pressed for is known without a broker.
  const names: NameLookup = {
    topics: async (other) => {
      const { topicNames } = await import('./look-up.js');
      return topicNames(other ?? broker());
    },
    groups: async (other) => {
      const { groupNames } = await import('./look-up.js');
      return groupNames(other ?? broker());
    },
  };
  stdout.write(textOf(await complete(program, words, names), shell !== 'bash'));
}

function textOf(completion: Completion, withDescriptions: boolean): string {
  if (completion === 'files') return `${FILES_LINE}\n`;
  return completion
    .map(({ value, description }) =>
      withDescriptions ? `${value}\t${description}\n` : `${value}\n`,
    )
    .join('');
}
