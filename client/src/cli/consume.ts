import { Command } from 'commander';
import type { StartPosition } from '../consumer/options.js';
import { quoted } from '../util/text.js';
import { withSession, type Environment, type Session } from './environment.js';
import { OutputClosedError, UsageError } from './exit.js';
import { jsonLine, parseFormat, valueLine, type Formatter } from './format.js';
import { Output } from './output.js';
import { collect, parsePartition, positiveInteger } from './parse.js';
import { Progress } from './progress.js';
import { parseTime } from './time.js';

interface ConsumeOptions {
  readonly from: string;
  readonly group?: string;
  readonly partition?: readonly string[];
  readonly maxMessages?: number;
  readonly exitAtEnd?: boolean;
  readonly format?: string;
  readonly json?: boolean;
}

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
    .action((topic: string, options: ConsumeOptions) => {
      const format = chooseFormat(options);
      checkGroup(options);
      const from = parseFrom(options.from);
      const partitions = options.partition?.map(parsePartition);
      return withSession(environment, (session) =>
        consumeTo(environment, session, { topic, from, partitions, format, options }),
      );
    });
}

interface Task {
  readonly topic: string;
  readonly from: StartPosition;
  readonly partitions: readonly number[] | undefined;
  readonly format: Formatter;
  readonly options: ConsumeOptions;
}

async function consumeTo(
  { stdout, stderr }: Environment,
  { client, signal, abort }: Session,
  { topic, from, partitions, format, options }: Task,
): Promise<void> {
  const { maxMessages = Infinity, exitAtEnd = false } = options;
  const output = new Output(stdout, () => abort(new OutputClosedError('The reader has gone')));
  const progress = new Progress(stderr, 'read', !stdout.isTTY);
  const common = { topics: [topic], from, signal };
  const { group } = options;
  // Who reads page by page is not stuck: a member that waits for its reader stays one.
  const member = group === undefined ? undefined : { group, maxPollIntervalMs: 0 };
  const groupConsumer = member && client.consumer({ ...common, ...member });
  const consumer = groupConsumer ?? client.consumer({ ...common, partitions, exitAtEnd });
  let left = maxMessages;
  try {
    for await (const batch of consumer.batches()) {
      for (const message of batch) {
        if (output.write(format(message))) await output.flush();
        progress.add(1);
        left -= 1;
        if (left > 0) continue;
        await output.flush();
        await groupConsumer?.commit(message);
        return;
      }
      // The batch counts as handled when the next one is asked for.
      await output.flush();
    }
  } finally {
    progress.end();
  }
}

/** @throws UsageError for options that are for a reader without a group. */
function checkGroup({ group, partition, exitAtEnd }: ConsumeOptions): void {
  if (group === undefined) return;
  if (partition !== undefined) {
    throw new UsageError('--group and --partition exclude each other: the group gives partitions');
  }
  if (exitAtEnd === true) {
    throw new UsageError('--group and --exit-at-end exclude each other; --max-messages ends it');
  }
}

function chooseFormat({ format, json }: ConsumeOptions): Formatter {
  if (json === true && format !== undefined) {
    throw new UsageError('--json and --format exclude each other');
  }
  if (json === true) return jsonLine;
  return format === undefined ? valueLine : parseFormat(format);
}

function parseFrom(text: string): StartPosition {
  if (text === 'beginning' || text === 'end') return text;
  if (/^\d+$/.test(text)) return { offset: Number(text), clamp: true };
  const date = parseTime(text);
  if (date !== undefined) return date;
  throw new UsageError(
    '--from takes beginning, end, an offset or a time such as 2026-01-31T12:00:00Z, ' +
      `not ${quoted(text)}`,
  );
}
