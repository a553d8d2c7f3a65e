import type { Admin } from '../../admin.js';
import type { GroupState } from '../../admin-types.js';
import { BrokerError } from '../../errors.js';
import { counted } from '../../util/text.js';
import type { Environment } from '../environment.js';
import { print, say, type JsonOption } from '../print.js';
import { NOTHING, table } from '../table.js';
import { withAdmin } from './session.js';

export interface ListOptions extends JsonOption {
  readonly state?: readonly string[];
}

/** `millrace group list` */
export function listGroups(environment: Environment, options: ListOptions): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    const states = options.state as readonly GroupState[] | undefined;
    const groups = await admin.listGroups({ states, signal });
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
  });
}

/** `millrace group delete` */
export function deleteGroups(
  environment: Environment,
  names: readonly string[],
  options: JsonOption,
): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    const groups = [...new Set(names)];
    const { deleted, errors } = await deleteEach(admin, groups, signal);
    if (deleted.length > 0) {
      print(environment, options, { deleted }, () => deletedLine(deleted, groups));
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, 'Some groups were not deleted');
  });
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
