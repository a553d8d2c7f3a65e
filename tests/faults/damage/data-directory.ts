import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Millrace } from '@millrace/client';
import { decodeSlot, SLOT_BYTES } from '../../../broker/src/storage/checkpoint.js';
import { startBroker } from '../../../broker/src/broker.js';
import type { Broker } from '../../../broker/src/broker.js';
import { crashCopy } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

export const SETTINGS = {
  listen: '127.0.0.1:0',
  offsetCeilingBlock: 1_000,
  cleanerIntervalMs: 50,
  checkpointIntervalMs: 50,
};
const SMALL = {
  'segment.bytes': '4096',
  'max.message.bytes': '4096',
  'index.interval.bytes': '1024',
};
export const GROUP = 'readers';

/** The topics, and how many messages each partition gets. */
const TOPICS = [
  { name: 'plain', partitions: 2, config: {}, messages: 20 },
  { name: 'segments', partitions: 1, config: SMALL, messages: 60 },
  {
    name: 'compacted',
    partitions: 1,
    config: { ...SMALL, 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' },
    messages: 80,
  },
] as const;

/** What a partition holds, by offset. */
export type Content = ReadonlyMap<number, string>;

/** What was acknowledged: by `topic-partition`, and the group's committed offset. */
export interface Acknowledged {
  readonly contents: ReadonlyMap<string, Content>;
  readonly committed: number;
}

/** A data directory with several topics, as a stop in order left it and as a crash did. */
export class DataDirectories {
  private constructor(
    readonly clean: string,
    readonly crashed: string,
    readonly acknowledged: Acknowledged,
    private readonly removals: readonly (() => Promise<void>)[],
  ) {}

  static async make(): Promise<DataDirectories> {
    const first = await makeTempDir();
    await (await fill(first.path, 0)).broker.close();
    // An epoch later, so that there is a gap of offsets.
    const again = await crashCopyOf(first.path);
    const { broker, client } = await fill(again.path, 1);
    const committed = await commit(client);
    await compacted(client, again.path);
    const acknowledged = { contents: await contentsOf(client), committed };
    await checkpointed(client, again.path);
    const crashed = await crashCopy(again.path);
    await client.close();
    await broker.close();
    const removals = [first.remove, again.remove, crashed.remove];
    return new DataDirectories(again.path, crashed.path, acknowledged, removals);
  }

  async remove(): Promise<void> {
    for (const remove of this.removals) await remove();
  }
}

/** A directory as a crash of a broker on it leaves it, although that one stopped in order. */
async function crashCopyOf(path: string): Promise<Awaited<ReturnType<typeof crashCopy>>> {
  const broker = await startBroker({ ...SETTINGS, dataDir: path });
  const client = new Millrace({ brokers: [broker.address] });
  const producer = client.producer({});
  for (const { name } of TOPICS)
    await producer.send(name, { key: 'k', value: 'crash', partition: 0 });
  const copy = await crashCopy(path);
  await client.close();
  await broker.close();
  return copy;
}

async function fill(
  dataDir: string,
  round: number,
): Promise<{ readonly broker: Broker; readonly client: Millrace }> {
  const broker = await startBroker({ ...SETTINGS, dataDir });
  const client = new Millrace({ brokers: [broker.address] });
  for (const { config, messages, name, partitions } of TOPICS) {
    if (round === 0) await client.admin.createTopic({ name, partitions, config });
    const producer = client.producer({ lingerMs: 0 });
    for (let i = 0; i < messages; i += 1) {
      const value = `${name} ${round} ${i} `.padEnd(200, 'x');
      for (let partition = 0; partition < partitions; partition += 1) {
        await producer.send(name, { key: `key ${i % 7}`, value, partition });
      }
    }
    await producer.close();
  }
  if (round === 1) return { broker, client };
  await client.close();
  return { broker, client };
}

async function commit(client: Millrace): Promise<number> {
  const consumer = client.consumer({ topics: ['plain'], group: GROUP, from: 'beginning' });
  let committed = 0;
  for await (const message of consumer) {
    if (message.partition !== 0) continue;
    committed = message.offset + 1;
    await consumer.commit([{ topic: 'plain', partition: 0, offset: committed }]);
    if (committed > 5) break;
  }
  await consumer.close();
  return committed;
}

/** Resolves when compaction has taken records out. */
async function compacted(client: Millrace, dataDir: string): Promise<void> {
  const { topicId } = await client.admin.describeTopic('compacted');
  const file = join(dataDir, 'topics', topicId, '0', 'compaction.json');
  for (;;) {
    try {
      const { content } = JSON.parse(readFileSync(file, 'utf8')) as {
        content: { dirtyFrom: number };
      };
      if (content.dirtyFrom > 0) return;
    } catch {
      // It is not there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves when everything is below the checkpoints: behind them a crash may leave anything. */
async function checkpointed(client: Millrace, dataDir: string): Promise<void> {
  const names = [...TOPICS.map(({ name }) => name), '__offsets'];
  for (const topic of await client.admin.describeTopics(names)) {
    for (const { endOffset, partition } of topic.partitions) {
      const path = join(dataDir, 'topics', topic.topicId, String(partition), 'checkpoint');
      for (;;) {
        const bytes = readFileSync(path);
        const ends = [decodeSlot(bytes, 0), decodeSlot(bytes, SLOT_BYTES)].map((slot) =>
          typeof slot === 'object' ? slot.checkpoint.endOffset : -1,
        );
        if (ends.includes(endOffset)) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

export async function contentsOf(client: Millrace): Promise<ReadonlyMap<string, Content>> {
  const contents = new Map<string, Content>();
  for (const { name, partitions } of TOPICS) {
    for (let partition = 0; partition < partitions; partition += 1) {
      contents.set(`${name}-${partition}`, (await contentOf(client, name, partition)).content);
    }
  }
  return contents;
}

/** All of a partition that can be read from its beginning on, and why that ended early. */
export async function contentOf(
  client: Millrace,
  topic: string,
  partition: number,
): Promise<{ readonly content: Content; readonly error: unknown }> {
  const content = new Map<number, string>();
  const consumer = client.consumer({ topics: [topic], partitions: [partition], exitAtEnd: true });
  let error: unknown;
  try {
    for await (const message of consumer) content.set(message.offset, message.text() ?? '');
  } catch (thrown) {
    error = thrown;
  } finally {
    await consumer.close();
  }
  return { content, error };
}

/** Ways to do harm to a file. */
export const harms = {
  deleted: (path: string) => rmSync(path),
  emptied: (path: string) => truncateSync(path, 0),
  'cut in half': (path: string) => truncateSync(path, readFileSync(path).length >> 1),
  zeroed: (path: string) => writeFileSync(path, Buffer.alloc(readFileSync(path).length)),
  garbled: (path: string) => {
    const bytes = readFileSync(path);
    for (let at = 0; at < Math.max(bytes.length, 16); at += 3) bytes[at] = (at * 151 + 7) % 256;
    writeFileSync(path, bytes.length === 0 ? Buffer.from('garbage') : bytes);
  },
} as const;

export type Harm = keyof typeof harms;

/** Every kind of file in a data directory, and where each lies. */
export function filesOf(dataDir: string): readonly (readonly [kind: string, path: string])[] {
  const files: [string, string][] = [];
  const kinds = new Set<string>();
  for (const entry of readdirSync(dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const parts = path.slice(dataDir.length + 1).split('/');
    const topic = parts[0] === 'topics' ? topicOf(join(dataDir, 'topics', parts[1] ?? '')) : '';
    const name = /^\d{20}(\..*)/.exec(entry.name)?.[1] ?? entry.name;
    const where = /^\d{20}/.test(entry.name) && /^0{20}/.test(entry.name) ? 'first ' : '';
    const kind = `${topic} ${where}${name}`.trim();
    if (kinds.has(kind)) continue;
    kinds.add(kind);
    files.push([kind, path.slice(dataDir.length + 1)]);
  }
  return files.sort(([a], [b]) => (a < b ? -1 : 1));
}

function topicOf(directory: string): string {
  const text = readFileSync(join(directory, 'topic.json'), 'utf8');
  return (JSON.parse(text) as { content: { name: string } }).content.name;
}

export function copyOf(dataDir: string, to: string): void {
  cpSync(dataDir, to, { recursive: true });
}
