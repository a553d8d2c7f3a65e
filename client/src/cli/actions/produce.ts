import type { CompressionName } from '@millrace/protocol';
import type { TopicConfigEntry, TopicDescription } from '../../admin-types.js';
import type { Millrace } from '../../client.js';
import { UnknownTopicError, type MillraceError } from '../../errors.js';
import { noSuchPartition, noTopicToUse } from '../../missing.js';
import type { MessageHeaders } from '../../producer/message.js';
import { producerDefaults } from '../../producer/options.js';
import type { Producer } from '../../producer/producer.js';
import { abortReason } from '../../util/abort.js';
import { counted, quoted } from '../../util/text.js';
import type { Environment } from '../environment.js';
import { CommandError, UsageError } from '../exit.js';
import { unescaped } from '../format.js';
import { readFileBytes } from '../input.js';
import { LineTooLongError, linesOf } from '../lines.js';
import { Progress } from '../progress.js';
import { withClient, type ClientSession } from './session.js';

export interface ProduceOptions {
  readonly keyDelimiter?: string;
  readonly header?: readonly string[];
  readonly acks: 'all' | '1' | '0';
  readonly compression: CompressionName;
  readonly partition?: number;
  readonly file?: string;
}

/** `millrace produce TOPIC`: each line of the input becomes a message. */
export function produce(
  environment: Environment,
  topic: string,
  options: ProduceOptions,
): Promise<void> {
  const headers = parseHeaders(options.header ?? []);
  const delimiter = parseDelimiter(options.keyDelimiter);
  return withClient(environment, (session) =>
    produceLines(environment, session, { topic, options, headers, delimiter }),
  );
}

/** What to send and how, checked. */
interface Task {
  readonly topic: string;
  readonly options: ProduceOptions;
  readonly headers: MessageHeaders | undefined;
  readonly delimiter: Buffer | undefined;
}

async function produceLines(
  { stdin, stderr }: Environment,
  { client, signal }: ClientSession,
  task: Task,
): Promise<void> {
  const { topic, options } = task;
  const { file, acks, compression } = options;
  const input = file === undefined ? stdin : await readFileBytes(file);
  const stop = (): void => void input.destroy();
  signal.addEventListener('abort', stop, { once: true });
  const progress = new Progress(stderr, 'sent', file !== undefined || !stdin.isTTY);
  try {
    // A wrong name shows before anything is typed or read.
    const { partitions, config } = await describeToUse(client, topic, signal);
    checkPartition(topic, options.partition, partitions.length);
    const limits = limitsOf(config, compression);
    const delivery = new LineDelivery(stop);
    const producer = client.producer({
      acks: acks === 'all' ? 'all' : acks === '1' ? 1 : 0,
      compression,
      ...limits.producer,
      onError: (error, { messageCount }) => delivery.failed(error, messageCount),
    });
    let stopped: Error | undefined;
    try {
      for await (const lines of linesOf(input, limits.maxLineBytes)) {
        await sendLines(producer, lines, task, delivery, signal);
        progress.add(lines.length);
      }
      await producer.flush({ signal });
    } catch (error) {
      stopped = error instanceof Error ? error : new Error(String(error));
    }
    // What was read before Ctrl-C is sent all the same; the client's close bounds the time.
    await producer.close();
    throwWhatStopped(stopped, delivery, signal, stderr, { topic, limits });
  } finally {
    signal.removeEventListener('abort', stop);
    input.destroy();
    progress.end();
  }
}

/** @throws UnknownTopicError that says how to create it. */
async function describeToUse(
  { admin }: Millrace,
  topic: string,
  signal: AbortSignal,
): Promise<TopicDescription> {
  try {
    return await admin.describeTopic(topic, { signal });
  } catch (error) {
    throw error instanceof UnknownTopicError ? noTopicToUse(topic) : error;
  }
}

/** How many lines were taken, and what became of those that failed. */
class LineDelivery {
  readonly #onFailed: () => void;
  taken = 0;
  lost = 0;
  failure: MillraceError | undefined;

  /** @param onFailed called with the first failure, to end the reading. */
  constructor(onFailed: () => void) {
    this.#onFailed = onFailed;
  }

  failed(error: MillraceError, messageCount: number): void {
    // Without messages it is a warning, which the session prints.
    if (messageCount === 0) return;
    this.lost += messageCount;
    if (this.failure !== undefined) return;
    this.failure = error;
    this.#onFailed();
  }

  throwFailure(): void {
    if (this.failure !== undefined) throw this.failure;
  }
}

async function sendLines(
  producer: Producer,
  lines: readonly Buffer[],
  { topic, headers, delimiter, options: { partition } }: Task,
  delivery: LineDelivery,
  signal: AbortSignal,
): Promise<void> {
  for (const line of lines) {
    const { key, value } = splitLine(line, delimiter);
    const more = producer.enqueue(topic, { key, value, headers, partition });
    delivery.taken += 1;
    if (more) continue;
    await producer.ready({ signal });
    delivery.throwFailure();
  }
  delivery.throwFailure();
}

/** Ends the command as what ended the reading asks for; nothing when that was the input's end. */
function throwWhatStopped(
  stopped: Error | undefined,
  { taken, lost, failure }: LineDelivery,
  signal: AbortSignal,
  stderr: NodeJS.WritableStream,
  { topic, limits }: { readonly topic: string; readonly limits: Limits },
): void {
  if (signal.aborted) {
    if (lost > 0) {
      const were = lost === 1 ? 'was' : 'were';
      stderr.write(`millrace: ${counted(lost, 'message')} read before ${were} not delivered\n`);
    }
    throw abortReason(signal);
  }
  if (failure?.code === 'MESSAGE_TOO_LARGE') {
    throw new CommandError(
      `a message with its overhead is larger than ${accepted(topic, limits)}; make the lines ` +
        'shorter, or create the topic with a larger max.message.bytes',
    );
  }
  if (failure !== undefined) throw failure;
  if (stopped instanceof LineTooLongError) {
    throw new CommandError(
      `line ${stopped.line} is longer than ${accepted(topic, limits)}; make the line shorter, ` +
        `or create the topic with a larger max.message.bytes (${storedBefore(taken)})`,
    );
  }
  if (stopped !== undefined) throw stopped;
}

function accepted(topic: string, { maxMessageBytes }: Limits): string {
  return `the ${maxMessageBytes} bytes that topic ${quoted(topic)} accepts (max.message.bytes)`;
}

function storedBefore(count: number): string {
  if (count === 0) return 'no message before it was stored';
  if (count === 1) return 'the message before it was stored';
  return `the ${count} messages before it were stored`;
}

interface Limits {
  /** The topic's `max.message.bytes`. */
  readonly maxMessageBytes: number;
  readonly maxLineBytes: number;
  readonly producer: { readonly maxMessageBytes: number; readonly bufferBytes: number };
}

/** Bounds that let through all that the topic may accept: the last word is the broker's. */
function limitsOf(config: readonly TopicConfigEntry[], compression: CompressionName): Limits {
  const entry = config.find(({ key }) => key === 'max.message.bytes');
  const known = Number(entry?.value ?? producerDefaults.maxMessageBytes);
  // The limit is that of the batch as it is stored: compressed, longer lines may fit.
  const maxLineBytes =
    compression === 'none' ? known : Math.max(known, producerDefaults.maxMessageBytes);
  const bufferBytes = Math.max(producerDefaults.bufferBytes, 4 * maxLineBytes);
  return {
    maxMessageBytes: known,
    maxLineBytes,
    producer: { bufferBytes, maxMessageBytes: Math.floor(bufferBytes / 2) },
  };
}

function checkPartition(topic: string, partition: number | undefined, count: number): void {
  if (partition !== undefined && partition >= count) throw noSuchPartition(topic, partition, count);
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
  return texts.map((text) => {
    const at = text.indexOf('=');
    if (at <= 0) throw new UsageError(`--header takes name=value, not ${quoted(text)}`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
}

function parseDelimiter(text: string | undefined): Buffer | undefined {
  if (text === undefined) return undefined;
  if (text === '') throw new UsageError('--key-delimiter takes at least one character');
  return Buffer.from(unescaped(text, '--key-delimiter'));
}
