import { counted, quoted } from '../../util/text.js';
import { checkCanAsk, confirm } from '../confirm.js';
import type { Environment } from '../environment.js';
import { UsageError } from '../exit.js';
import { parsePartition } from '../parse.js';
import { print, say, type JsonOption } from '../print.js';
import { table } from '../table.js';
import { withAdmin, type AdminSession } from './session.js';

export interface AddPartitionsOptions extends JsonOption {
  readonly total: number;
}

/** `millrace topic add-partitions` */
export function addPartitions(
  environment: Environment,
  name: string,
  options: AddPartitionsOptions,
): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    const partitions = await admin.createPartitions(name, options.total, { signal });
    const count = counted(partitions, 'partition');
    print(environment, options, { name, partitions }, () => `Topic ${name} has ${count} now\n`);
    say(
      environment,
      'messages with a key can go to another partition from now on than those before: ' +
        'their order holds within each partition only',
    );
  });
}

export interface DeleteRecordsOptions extends JsonOption {
  readonly partition: readonly string[];
  readonly before: string;
  readonly yes?: boolean;
}

/** `millrace topic delete-records` */
export function deleteRecords(
  environment: Environment,
  name: string,
  options: DeleteRecordsOptions,
): Promise<void> {
  const partitions = [...new Set(options.partition.map(parsePartition))];
  const offset = parseBefore(options.before);
  if (options.yes !== true) checkCanAsk(environment);
  return withAdmin(environment, (session) =>
    askAndDelete(environment, session, { name, partitions, offset, options }),
  );
}

interface Task {
  readonly name: string;
  readonly partitions: readonly number[];
  readonly offset: number | 'end';
  readonly options: DeleteRecordsOptions;
}

async function askAndDelete(
  environment: Environment,
  { admin, signal }: AdminSession,
  { name, partitions, offset, options }: Task,
): Promise<void> {
  const before = await admin.offsets(name, { signal });
  const upTo = offset === 'end' ? 'every message' : `the messages before offset ${offset}`;
  const places = partitions.map((partition) => `${name}-${partition}`).join(', ');
  const yes = options.yes === true;
  await confirm(environment, `Delete ${upTo} in ${places} for good?`, { yes, signal });
  const deletions = partitions.map((partition) => ({ topic: name, partition, offset }));
  const deleted = await admin.deleteRecords(deletions, { signal });
  print(environment, options, deleted, () =>
    table(
      ['TOPIC', 'PARTITION', 'OLD-START', 'NEW-START'],
      deleted.map(({ topic, partition, startOffset }) => {
        const oldStart = before.find((row) => row.partition === partition)?.beginning ?? 0;
        return [topic, String(partition), String(oldStart), String(startOffset)];
      }),
    ),
  );
}

function parseBefore(text: string): number | 'end' {
  if (text === 'end') return text;
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new UsageError(`--before takes an offset or end, not ${quoted(text)}`);
}
