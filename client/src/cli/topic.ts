import { Command } from 'commander';
import type { CreateOptions, ListOptions } from './actions/topic.js';
import type { AlterOptions } from './actions/topic-config.js';
import type { AddPartitionsOptions, DeleteRecordsOptions } from './actions/topic-records.js';
import type { Environment } from './environment.js';
import { collect, positiveInteger } from './parse.js';
import type { JsonOption } from './print.js';

/** `millrace topic create|list|describe|config|alter|add-partitions|delete-records|delete` */
export function topicCommand(environment: Environment): Command {
  const topic = new Command('topic').description(
    'create, list, describe, change and delete topics',
  );
  addCreate(topic, environment);
  addList(topic, environment);
  addDescribe(topic, environment);
  addConfig(topic, environment);
  addAlter(topic, environment);
  addAddPartitions(topic, environment);
  addDeleteRecords(topic, environment);
  addDelete(topic, environment);
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
    .action(async (name: string, options: CreateOptions) => {
      const { createTopic } = await import('./actions/topic.js');
      await createTopic(environment, name, options);
    });
}

function addList(topic: Command, environment: Environment): void {
  topic
    .command('list')
    .description('list topics')
    .option('-a, --all', "also the broker's own, whose names begin with __")
    .option('--json', 'print JSON')
    .action(async (options: ListOptions) => {
      const { listTopics } = await import('./actions/topic.js');
      await listTopics(environment, options);
    });
}

function addDescribe(topic: Command, environment: Environment): void {
  topic
    .command('describe')
    .description('show configuration, offsets and sizes of a topic')
    .argument('<topic>')
    .option('--json', 'print JSON')
    .action(async (name: string, options: JsonOption) => {
      const { describeTopic } = await import('./actions/topic.js');
      await describeTopic(environment, name, options);
    });
}

function addConfig(topic: Command, environment: Environment): void {
  topic
    .command('config')
    .description('show the configuration of a topic, and where each value comes from')
    .argument('<topic>')
    .option('--json', 'print JSON')
    .action(async (name: string, options: JsonOption) => {
      const { showConfig } = await import('./actions/topic-config.js');
      await showConfig(environment, name, options);
    });
}

function addAlter(topic: Command, environment: Environment): void {
  topic
    .command('alter')
    .description('change the configuration of a topic; it applies at once')
    .argument('<topic>')
    .option('-s, --set <key=value...>', 'a value to set, such as retention.ms=86400000', collect)
    .option('-u, --unset <key...>', "a key that goes back to the broker's default", collect)
    .option('--validate-only', 'check the change, and change nothing')
    .option('--json', 'print the configuration that results as JSON')
    .addHelpText(
      'after',
      '\nAll changes are made, or none. `millrace topic config TOPIC` shows keys and values.',
    )
    .action(async (name: string, options: AlterOptions) => {
      const { alterConfig } = await import('./actions/topic-config.js');
      await alterConfig(environment, name, options);
    });
}

function addAddPartitions(topic: Command, environment: Environment): void {
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
    .action(async (name: string, options: AddPartitionsOptions) => {
      const { addPartitions } = await import('./actions/topic-records.js');
      await addPartitions(environment, name, options);
    });
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
    .action(async (name: string, options: DeleteRecordsOptions) => {
      const { deleteRecords } = await import('./actions/topic-records.js');
      await deleteRecords(environment, name, options);
    });
}

function addDelete(topic: Command, environment: Environment): void {
  topic
    .command('delete')
    .description('delete a topic and every message in it')
    .argument('<topic>')
    .action(async (name: string) => {
      const { deleteTopic } = await import('./actions/topic.js');
      await deleteTopic(environment, name);
    });
}
