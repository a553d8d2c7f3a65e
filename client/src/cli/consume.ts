import { Command } from 'commander';
import type { ConsumeOptions } from './actions/consume.js';
import type { Environment } from './environment.js';
import { collect, positiveInteger } from './parse.js';

/** `millrace consume TOPIC`: prints messages as they come. */
export function consumeCommand(environment: Environment): Command {
  return new Command('consume')
    .description('print the messages of a topic, and go on with new ones until Ctrl-C')
    .argument('<topic>')
    .option('-o, --from <position>', 'beginning, end, an offset, or a time (ISO 8601)', 'beginning')
    .option('-g, --group <group>', 'as a member of this group, and commit what was printed')
    .option('-p, --partition <number>', 'only this partition (repeatable)', collect)
    .option('-n, --max-messages <count>', 'stop after so many', positiveInteger('--max-messages'))
    .option('-e, --exit-at-end', 'stop where there is nothing more at present')
    .option('-F, --format <format>', 'how to print a message; see below')
    .option('--json', 'print each message as one line of JSON')
    .addHelpText(
      'after',
      '\nFormat: %t topic, %p partition, %o offset, %T timestamp (Unix, ms), %k key, %v value,\n' +
        '%h headers (name=value,…), %% a percent sign, \\n \\t \\r \\0 \\\\. Default: %v\\n\n' +
        'Bytes are printed as they are; of a null key or value nothing, as of an empty one: only\n' +
        '--json tells them apart (null, ""). There, what is not UTF-8 is {"base64": "…"}, and a\n' +
        'header that occurs several times has an array of its values.\n\n' +
        'Reading starts at the beginning, as kcat does: nothing is skipped unless asked for.\n' +
        'An offset counts in each partition: one past the end of a partition starts at its end,\n' +
        'one before its beginning at its beginning. A time without a zone (Z, +01:00) is local\n' +
        'time; a date alone is its midnight. Reading then starts at the first message of that\n' +
        'time or later.\n\n' +
        'With --group the partitions are shared with the other members of the group, and\n' +
        'reading goes on where it has committed: --from counts only where it has not. What was\n' +
        'printed is committed, also where the program behind a pipe did not read it all: to\n' +
        'take so many and no more, say --max-messages. After a crash its last part comes\n' +
        'again.\n\n' +
        'Ctrl-C exits with 130, SIGTERM with 143; a reader that goes away (| head) ends it\n' +
        'quietly with 0, but that is noticed only when the next message is printed.',
    )
    .action(async (topic: string, options: ConsumeOptions) => {
      const { consume } = await import('./actions/consume.js');
      await consume(environment, topic, options);
    });
}
