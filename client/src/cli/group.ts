import { Command, InvalidArgumentError, Option } from 'commander';
import { groupStates } from '@millrace/protocol';
import type { Admin } from '../admin.js';
import type { GroupState } from '../admin-types.js';
import { BrokerError } from '../errors.js';
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
        const { deleted, errors } = await deleteEach(client.admin, groups, signal);
        if (deleted.length > 0) {
          print(environment, options, { deleted }, () => deletedLine(deleted, groups));
        }
        if (errors.length === 1) throw errors[0];
        if (errors.length > 1) throw new AggregateError(errors, 'Some groups were not deleted');
      }),
    );
}

/** One by one, so that it is known which are gone when others cannot be deleted. */
async function deleteEach(
  admin: Admin,
  groups: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly deleted: readonly string[]; readonly errors: readonly unknown[] }> {
  const deleted: string[] = [];
  const errors: unknown[] = [];
  for (const group of groups) {
    try {
      await admin.deleteGroups([group], { signal });
      deleted.push(group);
    } catch (error) {
      errors.push(error);
      // Ctrl-C, or a broker that is not there: the others would fail in the same way.
      if (!(error instanceof BrokerError)) break;
    }
  }
  return { deleted, errors };
}

function deletedLine(deleted: readonly string[], wanted: readonly string[]): string {
  if (deleted.length === wanted.length && wanted.length > 1) {
    return `Deleted ${counted(deleted.length, 'group')}\n`;
  }
  return `Deleted group${deleted.length === 1 ? '' : 's'} ${deleted.join(', ')}\n`;
}
