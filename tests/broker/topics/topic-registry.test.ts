import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ProtocolError } from '@millrace/protocol';
import { writeJsonFile } from '../../../broker/src/storage/json-file.js';
import type { Topic } from '../../../broker/src/topics/topic-registry.js';
import {
  chunksOf,
  drain,
  makeBatch,
  readAll,
  recordsIn,
  rejection,
} from '../../support/batches.js';
import { linesLogger } from '../storage/lines-logger.js';
import { FaultyPersistence } from '../../support/faulty-persistence.js';
import { openTestStorage, partitionOf } from '../../support/storage.js';
import type { TestStorage, TestStorageOptions } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let storage: TestStorage;
const reopen = async (options: TestStorageOptions = {}): Promise<void> => {
  await storage.close();
  storage = await openTestStorage(dir.path, options);
};
const create = (name: string, partitions = 1, config = {}): Promise<Topic> =>
  storage.topics.create({ name, partitions, config });
const refusal = async (work: Promise<unknown>): Promise<string> =>
  (await rejection(work)).errorName;
const directories = (): Promise<string[]> => readdir(join(dir.path, 'topics'));

beforeEach(async () => {
  dir = await makeTempDir();
  storage = await openTestStorage(dir.path, { config: { maxTopics: 5, maxPartitions: 20 } });
});
afterEach(async () => {
  await storage.close();
  await dir.remove();
});

describe('creating a topic', () => {
  test.each(['', '.', '..', 'a/b', 'a b', 'ä', 'x'.repeat(250), '../x'])(
    'refuses the name %j',
    async (name) => {
      expect(await refusal(create(name))).toBe('INVALID_TOPIC');
      expect(await directories()).toEqual([]);
    },
  );

  test.each(['x', '...', 'A-z_0.9', 'x'.repeat(249), '__proto__', 'constructor'])(
    'takes the name %j',
    async (name) => {
      const topic = await create(name, 2);
      expect(topic.id).toMatch(/^[0-9a-f]{32}$/);
      expect(storage.topics.byName(name)).toBe(topic);
      expect(storage.topics.byId(topic.id)).toBe(topic);
      await reopen();
      expect(storage.topics.list().map((known) => known.name)).toEqual([name]);
      expect(storage.topics.byName(name)?.id).toBe(topic.id);
    },
  );

  test.each([0, -1, 1.5, NaN, 21, Infinity])('refuses %p partitions', async (partitions) => {
    expect(await refusal(create('t', partitions))).toBe('INVALID_PARTITIONS');
  });

  test.each<[Record<string, string>, RegExp]>([
    [{ 'retention.parsecs': '1' }, /retention\.parsecs.*segment\.bytes/],
    [{ 'segment.bytes': '10' }, /segment\.bytes.*4096/],
    [{ 'segment.bytes': '1e9' }, /segment\.bytes/],
    [{ 'segment.bytes': '-5000' }, /segment\.bytes/],
    [{ 'segment.bytes': '99999999999999999999' }, /segment\.bytes/],
    [{ 'flush.ms': '0' }, /flush\.ms.*ms/],
    [
      { 'max.message.bytes': '8192', 'segment.bytes': '4096' },
      /max\.message\.bytes.*segment\.bytes/,
    ],
    [JSON.parse('{"__proto__":"1"}') as Record<string, string>, /__proto__/],
  ])('refuses the config %p and says why', async (config, message) => {
    const error = await rejection(create('t', 1, config));
    expect(error.errorName).toBe('INVALID_CONFIG');
    expect(error.message).toMatch(message);
    expect(await directories()).toEqual([]);
  });

  test('keeps to the limits, also when many come at once', async () => {
    const made = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => create(`t${i}`, 6)));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(storage.topics.partitionCount).toBe(18);
    expect(await refusal(create('more', 3))).toBe('LIMIT_EXCEEDED');
    await create('u');
    await create('v');
    expect(await refusal(create('w'))).toBe('LIMIT_EXCEEDED');
    await storage.topics.delete('v');
    await create('w');
  });

  test('of one name at the same time makes one', async () => {
    const made = await Promise.allSettled([create('t'), create('t'), create('t')]);
    expect(made.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await refusal(create('t'))).toBe('TOPIC_ALREADY_EXISTS');
    expect(await directories()).toHaveLength(1);
  });

  test('tells where each setting comes from', async () => {
    await reopen({ config: { flushMs: 77 } });
    const topic = await create('t', 1, { 'segment.bytes': '8192' });
    const entries = new Map(topic.describeConfig().map((entry) => [entry.key, entry]));
    expect(entries.get('segment.bytes')).toMatchObject({ value: '8192', source: 'topic' });
    expect(entries.get('flush.ms')).toMatchObject({ value: '77', source: 'broker' });
    expect(entries.get('flush.bytes')).toMatchObject({ source: 'default' });
    // A batch must fit in a segment, so a small one lowers the default.
    expect(topic.config.maxMessageBytes).toBe(8192);
    expect(entries.get('max.message.bytes')).toMatchObject({ value: '8192', source: 'topic' });
    await reopen({ config: { segmentBytes: 4096 } });
    const lowered = (await create('u')).describeConfig();
    expect(lowered).toContainEqual({ key: 'max.message.bytes', value: '4096', source: 'broker' });
  });
});

describe('deleting a topic', () => {
  const batch = (tag: string): ReturnType<typeof chunksOf> => chunksOf(makeBatch({ tag }));

  test('frees its name; one made again inherits nothing', async () => {
    const before = await create('t');
    await before.partitions[0]?.append(batch('old'), -1);
    await storage.topics.delete('t');
    expect(storage.topics.byName('t')).toBeUndefined();
    expect(storage.topics.byId(before.id)).toBeUndefined();
    expect(await refusal(storage.topics.delete('t'))).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    const after = await create('t');
    expect(after.id).not.toBe(before.id);
    expect(partitionOf(storage).endOffset).toBe(0);
    await reopen();
    expect(await readAll(partitionOf(storage))).toEqual([]);
    expect(await directories()).toEqual([after.id]);
  });

  test('leaves a region that is on its way readable until it is released', async () => {
    const partition = (await create('t')).partitions[0];
    await partition?.append(batch('going'), -1);
    const region = await partition?.read(0, 1000, true);
    if (region === undefined) throw new Error('nothing there');
    await storage.topics.delete('t');
    expect(region.file.closed).toBe(false);
    expect(recordsIn(drain(region))[0]?.value).toMatch(/^going/);
    expect(region.file.closed).toBe(true);
    const gone = { errorName: 'UNKNOWN_TOPIC_OR_PARTITION' };
    await expect(partition?.read(0, 1000, true)).rejects.toMatchObject(gone);
    await expect(partition?.append(batch('late'), 1)).rejects.toMatchObject(gone);
    await expect(partition?.offsetForTimestamp(0)).rejects.toMatchObject(gone);
  });

  test('tells those whose work it takes the files from that it is deleted', async () => {
    const before = (await create('t')).partitions[0];
    await before?.append(batch('a'), -1);
    // Whatever held its files open is gone.
    await reopen();
    const partition = partitionOf(storage);
    const path = join(dir.path, 'topics', partition.topicId);
    await rename(path, `${path}.deleted`);
    const work = [partition.deleteRecords(1), partition.offsetForTimestamp(0)].map(refusal);
    const gone = 'UNKNOWN_TOPIC_OR_PARTITION';
    await partition.abandon(new ProtocolError(gone, 'topic t was deleted'));
    expect(await Promise.all(work)).toEqual([gone, gone]);
    await rename(`${path}.deleted`, path);
  });

  test('tells those who wait for a sync, and listeners', async () => {
    let faults: FaultyPersistence | undefined;
    await reopen({ wrap: (inner) => (faults = new FaultyPersistence(inner)) });
    const partition = (await create('t')).partitions[0];
    faults?.holdSyncs();
    const waiting = rejection(partition?.append(batch('a'), -1) ?? Promise.resolve());
    await faults?.syncHeld();
    let told = 0;
    partition?.onVisible(() => (told += 1));
    const deleted = storage.topics.delete('t');
    expect((await waiting).errorName).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    expect(told).toBeGreaterThan(0);
    faults?.letSyncsGo();
    await deleted;
  });

  test('under appends that are just beginning leaves nothing that a restart stumbles on', async () => {
    for (let round = 0; round < 15; round += 1) {
      const topic = await create('t', 4);
      const appends = topic.partitions.map((partition) => partition.append(batch('x'), 1));
      const deleted = storage.topics.delete('t');
      await new Promise((resolve) => setImmediate(resolve));
      for (const partition of topic.partitions) appends.push(partition.append(batch('y'), -1));
      await Promise.allSettled([...appends, deleted]);
      await deleted;
      await Promise.allSettled(
        topic.partitions.map((partition) => partition.append(batch('z'), 1)),
      );
      expect((await directories()).filter((name) => !name.endsWith('.deleted'))).toEqual([]);
    }
    await reopen();
    expect(storage.topics.list()).toEqual([]);
  });
});

describe('a start', () => {
  const id = 'ab'.repeat(16);
  const spec = { name: 't', partitions: 1, config: {} };

  test('clears away topics that were half made or half deleted', async () => {
    await create('kept');
    await storage.close();
    for (const name of [`${id}.new`, `${id}.deleted`]) {
      await mkdir(join(dir.path, 'topics', name, '0'), { recursive: true });
      await writeJsonFile(join(dir.path, 'topics', name, 'topic.json'), spec);
    }
    storage = await openTestStorage(dir.path);
    expect(storage.topics.list().map(({ name }) => name)).toEqual(['kept']);
    expect(await directories()).toHaveLength(1);
  });

  const stopAnd = async (harm: (path: string) => Promise<void>): Promise<string> => {
    await storage.close();
    const path = join(dir.path, 'topics', id);
    await mkdir(path, { recursive: true });
    await harm(path);
    const error: unknown = await openTestStorage(dir.path).catch((e: unknown) => e);
    // The lock is free again.
    await rm(path, { recursive: true });
    storage = await openTestStorage(dir.path);
    return String(error);
  };

  test.each<[string, (path: string) => Promise<void>]>([
    ['missing', () => Promise.resolve()],
    ['damaged', (path) => writeFile(join(path, 'topic.json'), '{"crc32c":"0","content":{}}')],
    ['of no topic', (path) => writeJsonFile(join(path, 'topic.json'), { name: 't' })],
  ])('leaves out a topic whose topic.json is %s, says so, and keeps its data', async (_, harm) => {
    await create('kept');
    await storage.close();
    const path = join(dir.path, 'topics', id);
    await mkdir(path);
    await harm(path);
    const lines = linesLogger();
    storage = await openTestStorage(dir.path, { logger: lines.logger });
    expect(storage.topics.list().map(({ name }) => name)).toEqual(['kept']);
    expect(lines.find(new RegExp(`left out.*${id}/topic.json`))).toBeDefined();
    expect(await directories()).toContain(id);
  });

  test('refuses two topics of one name', async () => {
    await create('t');
    const twice = await stopAnd((path) => writeJsonFile(join(path, 'topic.json'), spec));
    expect(twice).toMatch(/both hold topic t/);
  });

  test('takes a topic offline that the defaults of the broker no longer fit, and no other', async () => {
    const batch = (): ReturnType<typeof chunksOf> => chunksOf(makeBatch());
    for (const [name, config] of [
      ['misfit', { 'max.message.bytes': '500000' }],
      ['other', {}],
    ] as const) {
      await (await create(name, 2, config)).partitions[0]?.append(batch(), -1);
    }
    await reopen({ config: { segmentBytes: 4096 } });
    await partitionOf(storage, 'other').append(batch(), -1);
    expect(await readAll(partitionOf(storage, 'other'))).toHaveLength(2);
    for (const partition of storage.topics.byName('misfit')?.partitions ?? []) {
      expect(partition.state).toBe('offline');
      const error = await rejection(partition.append(batch(), -1));
      expect(error.errorName).toBe('PARTITION_OFFLINE');
      expect(error.message).toMatch(/topic misfit .*max\.message\.bytes \(500000\)/);
    }

    await storage.topics.alterConfig('misfit', [{ key: 'max.message.bytes', value: null }]);
    await reopen({ config: { segmentBytes: 4096 } });
    expect(await readAll(partitionOf(storage, 'misfit'))).toHaveLength(1);
  });

  test('opens 500 partitions with what they hold', async () => {
    await reopen();
    const topic = await create('many', 500);
    await Promise.all(
      topic.partitions.map((partition, i) =>
        partition.append(chunksOf(makeBatch({ records: (i % 5) + 1 })), 1),
      ),
    );
    await reopen();
    const again = storage.topics.byName('many')?.partitions ?? [];
    expect(again.map(({ endOffset }) => endOffset)).toEqual(again.map((_, i) => (i % 5) + 1));
    expect(await readAll(partitionOf(storage, 'many', 499))).toHaveLength(5);
  });
});
