import type {
  PartitionOfTopic,
  ResetOffset,
  ResetOffsetsOptions,
  ResetTarget,
} from '../../admin-types.js';
import { counted, quoted } from '../../util/text.js';
import type { Environment } from '../environment.js';
import { UsageError } from '../exit.js';
import { print, say, type JsonOption } from '../print.js';
import { NOTHING, table } from '../table.js';
import { parseTime } from '../time.js';
import { isoTime } from '../units.js';
import { withAdmin } from './session.js';

export interface ResetOptions extends JsonOption {
  readonly to: string;
  readonly topic?: readonly string[];
  readonly dryRun?: boolean;
}

/** `millrace group reset GROUP` */
export function resetGroup(
  environment: Environment,
  name: string,
  options: ResetOptions,
): Promise<void> {
  const task = { to: parseTarget(options.to), ...parseTopics(options.topic) };
  return withAdmin(environment, async ({ admin, signal }) => {
    const dryRun = options.dryRun === true;
    const rows = await admin.resetOffsets(name, { ...task, dryRun, signal });
    print(environment, options, rows, () => resetTable(rows));
    tell(environment, name, { rows, dryRun, to: task.to });
  });
}

function resetTable(rows: readonly ResetOffset[]): string {
  return table(
    ['TOPIC', 'PARTITION', 'OLD', 'NEW'],
    rows.map(({ topic, partition, oldOffset, newOffset }) => [
      topic,
      String(partition),
      String(oldOffset ?? NOTHING),
      String(newOffset),
    ]),
  );
}

/** What the table does not say. */
function tell(
  environment: Environment,
  name: string,
  {
    rows,
    dryRun,
    to,
  }: { readonly rows: readonly ResetOffset[]; readonly dryRun: boolean; readonly to: ResetTarget },
): void {
  for (const { topic, partition, newOffset, clampedFrom } of rows) {
    if (clampedFrom === null) continue;
    const place = `${topic}-${partition}`;
    say(environment, `${place} does not hold offset ${clampedFrom}: ${newOffset} is the nearest`);
  }
  if (rows.length === 0) {
    say(environment, `group ${quoted(name)} has committed nothing; name topics with --topic`);
  } else if (dryRun) {
    say(environment, 'nothing was changed; do it without --dry-run');
  } else {
    const at = to instanceof Date ? ` to ${isoTime(to.getTime())}` : '';
    say(environment, `reset ${counted(rows.length, 'offset')} of group ${quoted(name)}${at}`);
  }
}

/**
 * Where to go, as it is given on the command line.
 *
 * @throws UsageError that lists what there is.
 */
export function parseTarget(text: string): ResetTarget {
  if (text === 'beginning' || text === 'end') return text;
  const number = Number(text);
  if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(number)) {
    return /^\d/.test(text) ? { offset: number } : { shift: number };
  }
  const time = parseTime(text);
  if (time !== undefined && time.getTime() >= 0) return time;
  throw new UsageError(
    '--to takes beginning, end, an offset, a time such as 2026-01-31T12:00:00Z, +N or -N, ' +
      `not ${quoted(text)}`,
  );
}

/** @throws UsageError for what is neither TOPIC nor TOPIC:0,1,2. */
export function parseTopics(
  given: readonly string[] | undefined,
): Pick<ResetOffsetsOptions, 'topics' | 'partitions'> {
  if (given === undefined) return {};
  const topics: string[] = [];
  const partitions: PartitionOfTopic[] = [];
  for (const text of given) {
    const [topic = '', list, ...rest] = text.split(':');
    if (
      topic === '' ||
      rest.length > 0 ||
      (list !== undefined && !/^\d{1,9}(,\d{1,9})*$/.test(list))
    ) {
      throw new UsageError(`--topic takes TOPIC or TOPIC:0,1,2, not ${quoted(text)}`);
    }
    if (list === undefined) topics.push(topic);
    else
      for (const number of list.split(',')) partitions.push({ topic, partition: Number(number) });
  }
  return { topics, partitions };
}
