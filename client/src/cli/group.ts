import { Command, InvalidArgumentError, Option } from 'commander';
import type { GroupState } from '../admin-types.js';
import type { ListOptions } from './actions/group.js';
import type { ResetOptions } from './actions/group-reset.js';
import type { Environment } from './environment.js';
import { collect } from './parse.js';
import type { JsonOption } from './print.js';

/** `millrace group list|describe|reset|delete` */
export function groupCommand(environment: Environment): Command {
  const group = new Command('group').description('list, describe, reset and delete groups');
  addList(group, environment);
  addDescribe(group, environment);
  addReset(group, environment);
  addDelete(group, environment);
  return group;
}

/** Every {@link GroupState}, without loading the protocol for a list of names. */
const groupStates = Object.keys({
  Empty: true,
  PreparingRebalance: true,
  CompletingRebalance: true,
  Stable: true,
  Dead: true,
} satisfies Readonly<Record<GroupState, true>>);

function addList(group: Command, environment: Environment): void {
  group
    .command('list')
    .description('list consumer groups')
    .addOption(
      new Option('-s, --state <state>', 'only groups in this state (repeatable)')
        .choices(groupStates)
        .argParser(stateOption),
    )
    .option('--json', 'print JSON')
    .action(async (options: ListOptions) => {
      const { listGroups } = await import('./actions/group.js');
      await listGroups(environment, options);
    });
}

/** As commander's own check of choices, in any case, and for an option that is repeatable. */
function stateOption(text: string, before: readonly string[] | undefined): readonly string[] {
  const state = groupStates.find((known) => known.toLowerCase() === text.toLowerCase());
  if (state !== undefined) return collect(state, before);
  throw new InvalidArgumentError(`Allowed choices are ${groupStates.join(', ')}.`);
}

function addDescribe(group: Command, environment: Environment): void {
  group
    .command('describe')
    .description('show the members of a group, what they read, and how far behind they are')
    .argument('<group>')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nLag is what is left to read, at the most: offsets have gaps after a crash and after\n' +
        'compaction. It is 0 where there is nothing to read. - stands for what is not there: no\n' +
        'commit in that partition, no member that reads it. The total is at least what is known\n' +
        'where a partition with messages has no commit, and while members come and go.\n\n' +
        'A member is shown by the first digits of its id, and columns that say nothing are left\n' +
        'out; --json has it all. There, totalLag is null where it is not known.',
    )
    .action(async (name: string, options: JsonOption) => {
      const { describeGroup } = await import('./actions/group-describe.js');
      await describeGroup(environment, name, options);
    });
}

function addReset(group: Command, environment: Environment): void {
  group
    .command('reset')
    .description('move the committed offsets of a group that has no members')
    .argument('<group>')
    .requiredOption('--to <position>', 'beginning, end, an offset, a time, +N or -N messages')
    .option('-t, --topic <topic>', 'only this topic, or TOPIC:0,1,2 of it (repeatable)', collect)
    .option('-n, --dry-run', 'show what would be done, and do nothing')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nWithout --topic, in every topic in which the group has committed. A time is ISO 8601,\n' +
        'such as 2026-01-31T12:00:00Z; without a zone (Z, +01:00) it is local time, a date\n' +
        'alone is its midnight. It means the first message of that time or later, or the end.\n\n' +
        '+N and -N move on or back from the committed offset. What a partition does not hold\n' +
        'becomes the nearest offset that it does, and that is said. With --topic, a group that\n' +
        'does not exist is made.\n\n' +
        'While the group has members it is refused, with --dry-run too: they would commit over it.',
    )
    .action(async (name: string, options: ResetOptions) => {
      const { resetGroup } = await import('./actions/group-reset.js');
      await resetGroup(environment, name, options);
    });
}

function addDelete(group: Command, environment: Environment): void {
  group
    .command('delete')
    .description('delete groups that have no members, and what they have committed')
    .argument('<group...>')
    .option('--json', 'print JSON')
    .action(async (names: readonly string[], options: JsonOption) => {
      const { deleteGroups } = await import('./actions/group.js');
      await deleteGroups(environment, names, options);
    });
}
