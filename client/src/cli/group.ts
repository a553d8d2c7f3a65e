import { Command, InvalidArgumentError, Option } from 'commander';
import { groupStates } from '@millrace/protocol';
import type { GroupState } from '../admin-types.js';
import { counted } from '../util/text.js';
import { withSession, type Environment } from './environment.js';
import { addGroupDescribe } from './group-describe.js';
import { addGroupReset } from './group-reset.js';
import { collect } from './parse.js';
import { print, say, type JsonOption } from './print.js';
import { NOTHING, table } from './table.js';

/** `millrace group list|describe|reset|delete` */
export function groupCommand(environment: Environment): Command {
  const group = new Command('group').description('list, describe, reset and delete groups');
  addList(group, environment);
  addGroupDescribe(group, environment);
  addGroupReset(group, environment);
  addDelete(group, environment);
  return group;
}

interface ListOptions extends JsonOption {
  readonly state?: readonly string[];
}

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
    .action((options: ListOptions) =>
      withSession(environment, async ({ client, signal }) => {
        const states = options.state as readonly GroupState[] | undefined;
        const groups = await client.admin.listGroups({ states, signal });
        print(environment, options, groups, () =>
          table(
            ['GROUP', 'STATE', 'MEMBERS', 'PROTOCOL'],
            groups.map(({ groupId, state, members, protocolType }) => [
              groupId,
              state,
              String(members),
              protocolType || NOTHING,
            ]),
          ),
        );
        if (groups.length > 0) return;
        say(
          environment,
          states === undefined
            ? 'there are no groups yet; `millrace consume TOPIC --group NAME` makes one'
            : `no group is ${states.join(' or ')}; without --state all are listed`,
        );
      }),
    );
}

/** As commander's own check of choices, in any case, and for an option that is repeatable. */
function stateOption(text: string, before: readonly string[] | undefined): readonly string[] {
  const state = groupStates.find((known) => known.toLowerCase() === text.toLowerCase());
  if (state !== undefined) return collect(state, before);
  throw new InvalidArgumentError(`Allowed choices are ${groupStates.join(', ')}.`);
}

function addDelete(group: Command, environment: Environment): void {
  group
    .command('delete')
    .description('delete groups that have no members, and what they have committed')
    .argument('<group...>')
    .option('--json', 'print JSON')
    .action((names: readonly string[], options: JsonOption) =>
      withSession(environment, async ({ client, signal }) => {
        const groups = [...new Set(names)];
        await client.admin.deleteGroups(groups, { signal });
        print(environment, options, { deleted: groups }, () => {
          const which =
            groups.length === 1 ? `group ${groups.join('')}` : counted(groups.length, 'group');
          return `Deleted ${which}\n`;
        });
      }),
    );
}
