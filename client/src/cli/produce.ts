import { createReadStream } from 'node:fs';
import { Command, Option } from 'commander';
import type { CompressionName } from '@millrace/protocol';
import type { MillraceError } from '../errors.js';
import type { MessageHeaders } from '../producer/message.js';
import { producerDefaults } from '../producer/options.js';
import { withSession, type Environment, type Session } from './environment.js';
import { UsageError } from './exit.js';
import { linesOf } from './lines.js';
import { collect, integerFrom } from './parse.js';
import { Progress } from './progress.js';

interface ProduceOptions {
  readonly keyDelimiter?: string;
  readonly header?: readonly string[];
  readonly acks: 'all' | '1' | '0';
  readonly compression: CompressionName;
  readonly partition?: number;
  readonly file?: string;
}

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
        'Bytes are taken as they are: only the newline is cut off. Ctrl-C exits with 130.',
    )
    .action((topic: string, options: ProduceOptions) => {
      const headers = parseHeaders(options.header ?? []);
      return withSession(environment, (session) =>
        produceLines(environment, session, topic, options, headers),
      );
    });
}

async function produceLines(
  environment: Environment,
  { client, signal }: Session,
  topic: string,
  options: ProduceOptions,
  headers: MessageHeaders | undefined,
): Promise<void> {
  const { acks, compression, file, partition } = options;
  // A wrong name shows before anything is typed or read.
  const { partitions } = await client.admin.describeTopic(topic, { signal });
  if (partition !== undefined && partition >= partitions.length) {
    throw new UsageError(`${topic} has partitions 0 to ${partitions.length - 1}, not ${partition}`);
  }
  let failure: MillraceError | undefined;
  const throwFailure = (): void => {
    if (failure !== undefined) throw failure;
  };
  const producer = client.producer({
    acks: acks === 'all' ? 'all' : acks === '1' ? 1 : 0,
    compression,
    onError: (error, { messageCount }) => {
      // Without messages it is a warning, which the session prints.
      if (messageCount > 0) failure ??= error;
    },
  });
  const { stdin, stderr } = environment;
  const input = file === undefined ? stdin : createReadStream(file);
  const progress = new Progress(stderr, 'sent', file !== undefined || !stdin.isTTY);
  const stop = (): void => void input.destroy();
  signal.addEventListener('abort', stop, { once: true });
  const delimiter =
    options.keyDelimiter === undefined ? undefined : Buffer.from(options.keyDelimiter);
  try {
    for await (const lines of linesOf(input, producerDefaults.maxMessageBytes)) {
      for (const line of lines) {
        const { key, value } = splitLine(line, delimiter);
        const more = producer.enqueue(topic, { key, value, headers, partition });
        if (!more) await producer.ready({ signal });
      }
      progress.add(lines.length);
      throwFailure();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    input.destroy();
    progress.end();
  }
  // What was read before Ctrl-C is sent all the same; the client's close bounds the time.
  await producer.close();
  throwFailure();
  signal.throwIfAborted();
}

function splitLine(
  line: Buffer,
  delimiter: Buffer | undefined,
): { readonly key: Buffer | null; readonly value: Buffer } {
  const at = delimiter === undefined ? -1 : line.indexOf(delimiter);
  if (delimiter === undefined || at < 0) return { key: null, value: line };
  return { key: line.subarray(0, at), value: line.subarray(at + delimiter.length) };
}

function parseHeaders(texts: readonly string[]): MessageHeaders | undefined {
  if (texts.length === 0) return undefined;
  const headers: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at <= 0) throw new UsageError(`--header takes name=value, not "${text}"`);
    headers[text.slice(0, at)] = text.slice(at + 1);
  }
  return headers;
}
