import { Command } from 'commander';
import type { TopicDescription } from '../admin-types.js';
import { counted } from '../util/text.js';
import { withSession, type Environment } from './environment.js';
import { collect, positiveInteger } from './parse.js';
import { print, say, type JsonOption } from './print.js';
import { NOTHING, table } from './table.js';
import { addConfigCommands, configTable, parseConfig } from './topic-config.js';
import { addRecordsCommands } from './topic-records.js';
import { humanBytes } from './units.js';

/** `millrace topic create|list|describe|config|alter|add-partitions|delete-records|delete` */
export function topicCommand(environment: Environment): Command {
  const topic = new Command('topic').description(
    'create, list, describe, change and delete topics',
  );
  addCreate(topic, environment);
  addList(topic, environment);
  addDescribe(topic, environment);
  addConfigCommands(topic, environment);
  addRecordsCommands(topic, environment);
  topic
    .command('delete')
    .description('delete a topic and every message in it')
    .argument('<topic>')
    .action((name: string) =>
      withSession(environment, async ({ client, signal }) => {
        await client.admin.deleteTopic(name, { signal });
        environment.stdout.write(`Deleted topic ${name}\n`);
      }),
    );
  return topic;
}

function addCreate(topic: Command, environment: Environment): void {
  topic
    .command('create')
    .description('create a topic')
    .argument('<name>')
    .option('-p, --partitions <count>', 'how many partitions', positiveInteger('--partitions'), 1)
    .option('-c, --config <key=value...>', 'configuration, such as segment.bytes=67108864', collect)
    .option('--if-not-exists', 'be content with a topic that exists already')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nWith --if-not-exists, partitions and configuration of a topic that exists already are\n' +
        'not compared with those given.',
    )
    .action((name: string, options: CreateOptions) => {
      const config = Object.fromEntries(
        (options.config ?? []).map((text) => parseConfig(text, '--config')),
      );
      return withSession(environment, async ({ client, signal }) => {
        const { partitions, ifNotExists = false } = options;
        const spec = { name, partitions, config, ifNotExists };
        const created = await client.admin.createTopic(spec, { signal });
        const count = counted(created.partitions, 'partition');
        const said = created.existed
          ? `Topic ${name} exists already, with ${count}\n`
          : `Created topic ${name} with ${count}\n`;
        print(environment, options, created, () => said);
      });
    });
}

/** Topics of the broker's own begin with it. */
const INTERNAL_PREFIX = '__';

function addList(topic: Command, environment: Environment): void {
  topic
    .command('list')
    .description('list topics')
    .option('-a, --all', "also the broker's own, whose names begin with __")
    .option('--json', 'print JSON')
    .action((options: JsonOption & { readonly all?: boolean }) =>
      withSession(environment, async ({ client, signal }) => {
        const listed = await client.admin.listTopics({ signal });
        const topics = listed.filter(
          ({ name }) => options.all === true || !name.startsWith(INTERNAL_PREFIX),
        );
        print(environment, options, topics, () =>
          table(
            ['NAME', 'PARTITIONS', 'ID'],
            topics.map(({ name, partitions, topicId }) => [name, String(partitions), topicId]),
          ),
        );
        if (topics.length > 0) return;
        say(environment, 'there are no topics yet; `millrace topic create NAME` makes one');
      }),
    );
}

function addDescribe(topic: Command, environment: Environment): void {
  topic
    .command('describe')
    .description('show configuration, offsets and sizes of a topic')
    .argument('<topic>')
    .option('--json', 'print JSON')
    .action((name: string, options: JsonOption) =>
      withSession(environment, async ({ client, signal }) => {
        const description = await client.admin.describeTopic(name, { signal });
        print(environment, options, description, () => describe(description));
      }),
    );
}

interface CreateOptions extends JsonOption {
  readonly partitions: number;
  readonly config?: readonly string[];
  readonly ifNotExists?: boolean;
}

const PARTITION_HEADER = [
  'PARTITION',
  'LEADER',
  'EPOCH',
  'START',
  'END',
  'HIGH-WM',
  'SEGMENTS',
  'BYTES',
  'ON-DISK',
  'STATE',
];

function describe({ name, topicId, internal, partitions, config }: TopicDescription): string {
  const rows = partitions.map((row) => [
    String(row.partition),
    String(row.leader),
    String(row.leaderEpoch),
    known(row.startOffset),
    known(row.endOffset),
    known(row.highWatermark),
    String(row.segments),
    String(row.sizeBytes),
    String(row.diskBytes),
    row.state,
  ]);
  const sizeBytes = partitions.reduce((sum, row) => sum + row.sizeBytes, 0);
  const diskBytes = partitions.reduce((sum, row) => sum + row.diskBytes, 0);
  const own = internal ? ", the broker's own" : '';
  return (
    `Topic ${name} (id ${topicId}${own}): ${counted(partitions.length, 'partition')}, ` +
    `${humanBytes(sizeBytes)} of messages, ${humanBytes(diskBytes)} on disk\n\n` +
    `${table(PARTITION_HEADER, rows)}\n${configTable(config)}`
  );
}

/** An offset that the broker knows. */
function known(offset: number): string {
  return offset < 0 ? NOTHING : String(offset);
}
