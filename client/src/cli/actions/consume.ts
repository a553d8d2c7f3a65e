import type { StartPosition } from '../../consumer/options.js';
import { quoted } from '../../util/text.js';
import type { Environment } from '../environment.js';
import { OutputClosedError, UsageError } from '../exit.js';
import { jsonLine, parseFormat, valueLine, type Formatter } from '../format.js';
import { Output } from '../output.js';
import { parsePartition } from '../parse.js';
import { Progress } from '../progress.js';
import { parseTime } from '../time.js';
import { withClient, type ClientSession } from './session.js';

export interface ConsumeOptions {
  readonly from: string;
  readonly group?: string;
  readonly partition?: readonly string[];
  readonly maxMessages?: number;
  readonly exitAtEnd?: boolean;
  readonly format?: string;
  readonly json?: boolean;
}

/** `millrace consume TOPIC`: prints messages as they come. */
export function consume(
  environment: Environment,
  topic: string,
  options: ConsumeOptions,
): Promise<void> {
  const format = chooseFormat(options);
  checkGroup(options);
  const from = parseFrom(options.from);
  const partitions = options.partition?.map(parsePartition);
  return withClient(environment, (session) =>
    consumeTo(environment, session, { topic, from, partitions, format, options }),
  );
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
  { client, signal, abort }: ClientSession,
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
