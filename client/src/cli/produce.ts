import { Command, Option } from 'commander';
import type { ProduceOptions } from './actions/produce.js';
import type { Environment } from './environment.js';
import { collect, integerFrom } from './parse.js';

/** `millrace produce TOPIC`: each line of the input becomes a message. */
export function produceCommand(environment: Environment): Command {
  return new Command('produce')
    .description('send each line of standard input (or of a file) as a message')
    .argument('<topic>')
    .option('-k, --key-delimiter <text>', 'what stands before it in a line is the key')
    .option('-H, --header <name=value>', 'a header for every message (repeatable)', collect)
    .addOption(
      new Option('-a, --acks <acks>', 'when a message counts as sent')
        .choices(['all', '1', '0'])
        .default('all'),
    )
    .addOption(
      new Option('-z, --compression <codec>', 'how batches are compressed')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .option('-p, --partition <number>', 'the partition to send to', integerFrom(0, '--partition'))
    .option('-f, --file <path>', 'read lines from a file instead of standard input')
    .addHelpText(
      'after',
      '\nKeys place messages as Kafka does; a line without the delimiter has no key.\n' +
        'In the delimiter, \\t \\n \\r \\0 \\\\ mean what they do in consume --format. Bytes are taken\n' +
        "as they are: only the newline is cut off. The topic's max.message.bytes bounds a line.\n" +
        'Ctrl-C exits with 130, SIGTERM with 143, after what was read is sent.',
    )
    .action(async (topic: string, options: ProduceOptions) => {
      const { produce } = await import('./actions/produce.js');
      await produce(environment, topic, options);
    });
}
