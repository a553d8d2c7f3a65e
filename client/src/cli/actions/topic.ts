import type { TopicDescription } from '../../admin-types.js';
import { counted } from '../../util/text.js';
import type { Environment } from '../environment.js';
import { print, say, type JsonOption } from '../print.js';
import { NOTHING, table } from '../table.js';
import { humanBytes } from '../units.js';
import { withAdmin } from './session.js';
import { configTable, parseConfig } from './topic-config.js';

export interface CreateOptions extends JsonOption {
  readonly partitions: number;
  readonly config?: readonly string[];
  readonly ifNotExists?: boolean;
}

/** `millrace topic create` */
export function createTopic(
  environment: Environment,
  name: string,
  options: CreateOptions,
): Promise<void> {
  const config = Object.fromEntries(
    (options.config ?? []).map((text) => parseConfig(text, '--config')),
  );
  return withAdmin(environment, async ({ admin, signal }) => {
    const { partitions, ifNotExists = false } = options;
    const spec = { name, partitions, config, ifNotExists };
    const created = await admin.createTopic(spec, { signal });
    const count = counted(created.partitions, 'partition');
    const said = created.existed
      ? `Topic ${name} exists already, with ${count}\n`
      : `Created topic ${name} with ${count}\n`;
    print(environment, options, created, () => said);
  });
}

/** Topics of the broker's own begin with it. */
const INTERNAL_PREFIX = '__';

export interface ListOptions extends JsonOption {
  readonly all?: boolean;
}

/** `millrace topic list` */
export function listTopics(environment: Environment, options: ListOptions): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    const listed = await admin.listTopics({ signal });
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
  });
}

/** `millrace topic describe` */
export function describeTopic(
  environment: Environment,
  name: string,
  options: JsonOption,
): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    const description = await admin.describeTopic(name, { signal });
    print(environment, options, description, () => describe(description));
  });
}

/** `millrace topic delete` */
export function deleteTopic(environment: Environment, name: string): Promise<void> {
  return withAdmin(environment, async ({ admin, signal }) => {
    await admin.deleteTopic(name, { signal });
    environment.stdout.write(`Deleted topic ${name}\n`);
  });
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
