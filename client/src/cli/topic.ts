import { Command } from 'commander';
import type { TopicDescription } from '../admin-types.js';
import { counted, quoted } from '../util/text.js';
import { withSession, type Environment } from './environment.js';
import { UsageError } from './exit.js';
import { collect, positiveInteger } from './parse.js';
import { table } from './table.js';

/** `millrace topic create|list|describe|delete` */
export function topicCommand(environment: Environment): Command {
  const topic = new Command('topic').description('create, list, describe and delete topics');
  addCreate(topic, environment);
  addList(topic, environment);
  addDescribe(topic, environment);
  topic
    .command('delete')
    .description('delete a topic and every message in it')
    .argument('<name>')
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
      const config = Object.fromEntries((options.config ?? []).map(parseConfig));
      return withSession(environment, async ({ client, signal }) => {
        const { partitions, ifNotExists = false } = options;
        const spec = { name, partitions, config, ifNotExists };
        const created = await client.admin.createTopic(spec, { signal });
        const count = counted(created.partitions, 'partition');
        const said = created.existed
          ? `Topic ${name} exists already, with ${count}\n`
          : `Created topic ${name} with ${count}\n`;
        environment.stdout.write(options.json === true ? `${JSON.stringify(created)}\n` : said);
      });
    });
}

function addList(topic: Command, environment: Environment): void {
  topic
    .command('list')
    .description('list all topics')
    .option('--json', 'print JSON')
    .action((options: { readonly json?: boolean }) =>
      withSession(environment, async ({ client, signal }) => {
        const topics = await client.admin.listTopics({ signal });
        const rows = topics.map(({ name, partitions, topicId }) => [
          name,
          String(partitions),
          topicId,
        ]);
        environment.stdout.write(
          options.json === true
            ? `${JSON.stringify(topics)}\n`
            : table(['NAME', 'PARTITIONS', 'ID'], rows),
        );
      }),
    );
}

function addDescribe(topic: Command, environment: Environment): void {
  topic
    .command('describe')
    .description('show configuration, offsets and sizes of a topic')
    .argument('<name>')
    .option('--json', 'print JSON')
    .action((name: string, options: { readonly json?: boolean }) =>
      withSession(environment, async ({ client, signal }) => {
        const description = await client.admin.describeTopic(name, { signal });
        environment.stdout.write(
          options.json === true ? `${JSON.stringify(description)}\n` : describe(description),
        );
      }),
    );
}

interface CreateOptions {
  readonly partitions: number;
  readonly config?: readonly string[];
  readonly ifNotExists?: boolean;
  readonly json?: boolean;
}

function parseConfig(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new UsageError(`--config takes key=value, not ${quoted(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function describe({ name, topicId, partitions, config }: TopicDescription): string {
  const partitionRows = partitions.map((row) => [
    String(row.partition),
    String(row.leader),
    String(row.leaderEpoch),
    String(row.startOffset),
    String(row.endOffset),
    String(row.sizeBytes),
    row.state,
  ]);
  const header = ['PARTITION', 'LEADER', 'EPOCH', 'START', 'END', 'BYTES', 'STATE'];
  const configRows = config.map(({ key, value, source }) => [key, value, source]);
  return (
    `Topic ${name} (id ${topicId})\n\n` +
    `${table(header, partitionRows)}\n` +
    table(['CONFIG', 'VALUE', 'SOURCE'], configRows)
  );
}
