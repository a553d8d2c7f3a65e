import type { Command } from 'commander';
import { counted, quoted } from '../util/text.js';
import { checkCanAsk, confirm } from './confirm.js';
import { withSession, type Environment, type Session } from './environment.js';
import { UsageError } from './exit.js';
import { collect, parsePartition, positiveInteger } from './parse.js';
import { print, say, type JsonOption } from './print.js';
import { table } from './table.js';

/** `millrace topic add-partitions` and `delete-records` */
export function addRecordsCommands(topic: Command, environment: Environment): void {
  topic
    .command('add-partitions')
    .description('add empty partitions to a topic')
    .argument('<topic>')
    .requiredOption(
      '-t, --total <count>',
      'how many it is to have then',
      positiveInteger('--total'),
    )
    .option('--json', 'print JSON')
    .action((name: string, options: JsonOption & { readonly total: number }) =>
      withSession(environment, async ({ client, signal }) => {
        const partitions = await client.admin.createPartitions(name, options.total, { signal });
        const count = counted(partitions, 'partition');
        print(environment, options, { name, partitions }, () => `Topic ${name} has ${count} now\n`);
        say(
          environment,
          'messages with a key can go to another partition from now on than those before: ' +
            'their order holds within each partition only',
        );
      }),
    );
  addDeleteRecords(topic, environment);
}

interface DeleteRecordsOptions extends JsonOption {
  readonly partition: readonly string[];
  readonly before: string;
  readonly yes?: boolean;
}

function addDeleteRecords(topic: Command, environment: Environment): void {
  topic
    .command('delete-records')
    .description('delete the first messages of a partition, for good')
    .argument('<topic>')
    .requiredOption('-p, --partition <number>', 'the partition (repeatable)', collect)
    .requiredOption('--before <offset>', 'delete what is before this offset; end: everything')
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nOn a terminal it asks first; elsewhere it needs --yes. The space on the disk comes\n' +
        'back a segment at a time, when the last message in one is deleted.',
    )
    .action((name: string, options: DeleteRecordsOptions) => {
      const partitions = [...new Set(options.partition.map(parsePartition))];
      const offset = parseBefore(options.before);
      if (options.yes !== true) checkCanAsk(environment);
      return withSession(environment, (session) =>
        deleteRecords(environment, session, { name, partitions, offset, options }),
      );
    });
}

interface Task {
  readonly name: string;
  readonly partitions: readonly number[];
  readonly offset: number | 'end';
  readonly options: DeleteRecordsOptions;
}

async function deleteRecords(
  environment: Environment,
  { client: { admin }, signal }: Session,
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
