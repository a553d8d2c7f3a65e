import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ByteChunks, crc32c, ProtocolError } from '@millrace/protocol';
import {
  encodeCommitKey,
  encodeCommitValue,
  encodeGroupKey,
} from '../../../broker/src/groups/offsets-codec.js';
import { loadOffsets } from '../../../broker/src/groups/offsets-loader.js';
import { OffsetsTopic } from '../../../broker/src/groups/offsets-topic.js';
import { openGroups } from '../../../broker/src/groups/open-groups.js';
import { defaultGroupConfig } from '../../../broker/src/groups/group-config.js';
import { makeBatch, T0 } from '../../support/batches.js';
import { seededRandom, testSeed } from '../../support/seed.js';
import { logDirectory, silentLogger } from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { keepingLogger } from '../support/listener.js';
import {
  appendRaw,
  batchesIn,
  groupOf,
  idOf,
  load,
  offsetsIn,
  offsetsPartition,
  offsetsStorage,
  rowOf,
  storeOn,
} from './support/offsets.js';

const key = (partition: number): Buffer => encodeCommitKey('g', idOf(1), partition);
const value = (offset: number): Buffer =>
  encodeCommitValue({ offset, leaderEpoch: 0, commitTimeMs: T0, metadata: null });

/** A storage whose `__offsets` takes anything: records without keys too. */
async function unguardedStorage(): Promise<{ storage: TestStorage }> {
  const opened = await offsetsStorage();
  await opened.storage.topics.create({ name: '__offsets', partitions: 1, config: {} });
  return opened;
}

describe('a start reads', () => {
  test('nothing while there is no topic', async () => {
    const { storage } = await offsetsStorage();
    const loaded = await load(storage);
    expect(loaded).toMatchObject({ records: 0, skippedRecords: 0, problem: undefined });
    expect(loaded.groups.size + loaded.table.size).toBe(0);
  });

  test('the last record of each key, and nothing of what was removed', async () => {
    const { storage } = await offsetsStorage();
    const store = storeOn(storage);
    for (const offset of [1, 5, 3]) await store.commit('g', [rowOf(1, 0, offset), rowOf(1, 1, 1)]);
    await store.storeGroup(groupOf('g', 1));
    await store.storeGroup(groupOf('g', 3));
    await store.storeGroup(groupOf('gone', 3));
    await store.deleteGroup('gone');
    await store.deleteOffsets('g', [rowOf(1, 1, 0)]);
    const loaded = await load(storage);
    expect(offsetsIn(loaded)).toEqual(['g 1-0=3']);
    expect(loaded.groups).toEqual(new Map([['g', groupOf('g', 3)]]));
    expect(loaded.skippedRecords + loaded.skippedBatches).toBe(0);
  });

  test('what a store had in memory, after random changes and in batches of any size', async () => {
    const random = seededRandom(testSeed());
    const below = (limit: number): number => Math.floor(random() * limit);
    const { storage, path } = await offsetsStorage();
    const store = storeOn(storage, { maxRecordsPerBatch: 7 });
    for (let round = 0; round < 60; round += 1) {
      const changes = Array.from({ length: below(20) }, () => {
        const groupId = `g${below(8)}`;
        const rows = [rowOf(below(3), below(6), below(1_000)), rowOf(4, below(6), below(9))];
        const pick = random();
        if (pick < 0.8) return store.commit(groupId, rows);
        return pick < 0.95 ? store.deleteOffsets(groupId, rows) : store.deleteGroup(groupId);
      });
      await Promise.all(changes);
    }
    const memory = [...store.groupIds()].flatMap((groupId) =>
      store.allCommitted(groupId).map(({ topicId, partition, offset }) => {
        return `${groupId} ${parseInt(topicId, 16)}-${partition}=${offset}`;
      }),
    );
    await storage.close();
    const { storage: restarted } = await offsetsStorage({ path });
    expect(offsetsIn(await load(restarted))).toEqual(memory.sort());
  });

  test('over gaps of offsets, such as an unclean stop leaves', async () => {
    const { storage, path } = await offsetsStorage();
    await storeOn(storage).commit('g', [rowOf(1, 0, 1), rowOf(1, 1, 1)]);
    await storage.drop();
    const { storage: restarted } = await offsetsStorage({ path });
    await storeOn(restarted).commit('g', [rowOf(1, 1, 2)]);
    expect((await batchesIn(restarted)).at(-1)?.baseOffset).toBeGreaterThan(2);
    expect(offsetsIn(await load(restarted))).toEqual(['g 1-0=1', 'g 1-1=2']);
  });

  test('refuses to guess when the partition is offline', async () => {
    const problem = new ProtocolError('CORRUPT_LOG', 'damaged');
    const { logger, lines } = keepingLogger();
    const read = (): never => {
      throw problem;
    };
    const partition = { startOffset: 0, endOffset: 0, log: undefined, problem, read };
    expect((await loadOffsets(partition, logger)).problem).toBe(problem);
    expect(lines).toHaveLength(1);
  });
});

describe('what nobody can read is skipped, counted and told once:', () => {
  test('records of other versions, without keys, and of garbage', async () => {
    const { storage } = await unguardedStorage();
    await storeOn(storage).commit('g', [rowOf(1, 0, 1), rowOf(1, 1, 2)]);
    const foreign = Buffer.from(value(9));
    foreign[0] = 77;
    await appendRaw(storage, [
      [null, value(9)],
      [Buffer.from('written by hand'), Buffer.from('hello')],
      [key(0), foreign],
      [encodeGroupKey('g'), Buffer.alloc(5)],
      [key(1), value(3)],
    ]);
    await storeOn(storage).commit('other', [rowOf(1, 0, 4)]);
    const { logger, lines } = keepingLogger();
    const loaded = await load(storage, logger);
    expect(offsetsIn(loaded)).toEqual(['g 1-0=1', 'g 1-1=3', 'other 1-0=4']);
    expect(loaded).toMatchObject({ records: 8, skippedRecords: 4, skippedBatches: 0 });
    expect(loaded.firstSkipped).toEqual({ offset: 2, reason: 'it has no key' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('first at offset 2: it has no key');
  });

  test('batches whose records are not what their header promises', async () => {
    const { storage } = await unguardedStorage();
    await storeOn(storage).commit('g', [rowOf(1, 0, 1)]);
    const batch = makeBatch({ records: 3 });
    batch.writeInt16BE(1, 21); // says gzip, with a checksum that fits
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
    await offsetsPartition(storage).append(new ByteChunks([batch]), -1);
    await storeOn(storage).commit('g', [rowOf(1, 1, 2)]);
    const loaded = await load(storage);
    expect(offsetsIn(loaded)).toEqual(['g 1-0=1', 'g 1-1=2']);
    expect(loaded).toMatchObject({ skippedRecords: 0, skippedBatches: 1 });
    expect(loaded.firstSkipped?.offset).toBe(1);
  });
});

/** Twelve commits, each a batch of its own, then bytes of the file changed by hand. */
async function damaged(
  change: (bytes: Buffer, starts: readonly number[]) => void,
): Promise<TestStorage> {
  const { storage, path } = await offsetsStorage();
  const store = storeOn(storage);
  for (let n = 0; n < 12; n += 1) await store.commit('g', [rowOf(1, n, n)]);
  const sizes = (await batchesIn(storage)).map(({ header }) => header.sizeBytes);
  const directory = logDirectory(path, offsetsPartition(storage));
  await storage.close();
  const [name = ''] = (await readdir(directory)).filter((file) => file.endsWith('.log'));
  const file = await open(join(directory, name), 'r+');
  const bytes = await file.readFile();
  let end = 0;
  change(
    bytes,
    sizes.map((size) => (end += size) - size),
  );
  await file.write(bytes, 0, bytes.length, 0);
  await file.close();
  return (await offsetsStorage({ path })).storage;
}

const without = (...lost: readonly number[]): string[] =>
  Array.from({ length: 12 }, (_, n) => n)
    .filter((n) => !lost.includes(n))
    .map((n) => `g 1-${n}=${n}`)
    .sort();

describe('a log that the disk has changed costs only what was changed:', () => {
  test.each([
    ['a record', 5, 70],
    ['a checksum', 5, 17],
    ['the magic', 5, 16],
    ['a length', 5, 8],
    ['a base offset', 5, 2],
    ['a record of the first batch', 0, 70],
    ['a record of the last batch', 11, 70],
  ] as const)('%s', async (_name, batch, at) => {
    const storage = await damaged((bytes, starts) => {
      const position = (starts[batch] ?? 0) + at;
      bytes[position] = (bytes[position] ?? 0) ^ 0x41;
    });
    const { logger, lines } = keepingLogger();
    const loaded = await load(storage, logger);
    expect(offsetsIn(loaded)).toEqual(without(batch));
    expect(loaded.skippedBatches).toBe(1);
    expect(loaded.firstSkipped?.offset).toBe(batch);
    expect(lines).toHaveLength(1);
  });

  test('several records', async () => {
    const storage = await damaged((bytes, starts) => {
      for (const batch of [3, 4, 9])
        bytes.fill(0x20, (starts[batch] ?? 0) + 65, (starts[batch] ?? 0) + 75);
    });
    const loaded = await load(storage);
    expect(offsetsIn(loaded)).toEqual(without(3, 4, 9));
    expect(loaded.skippedBatches).toBe(2);
  });
});

test('offsets of topics that are no more are dropped, and removed from the log', async () => {
  const { storage, path } = await offsetsStorage();
  const topic = await storage.topics.create({ name: 'kept', partitions: 1, config: {} });
  const store = storeOn(storage);
  await store.commit('g', [rowOf(1, 0, 1), { ...rowOf(2, 0, 2), topicId: topic.id }]);
  await storage.close();
  const { storage: restarted } = await offsetsStorage({ path });
  const groups = await openGroups({
    storage: { nodeId: 0, topics: restarted.topics },
    config: { ...defaultGroupConfig, maxRecordsPerBatch: 1_000 },
    logger: silentLogger,
  });
  const fetched = groups.coordinator.fetch({ groupId: 'g', entries: null });
  expect(fetched.entries.map(({ topic: name }) => name)).toEqual(['kept']);
  await groups.close();
  const loaded = await load(restarted);
  expect([...loaded.table.topicIds()]).toEqual([topic.id]);
  expect(new OffsetsTopic(restarted.topics, silentLogger).partition?.endOffset).toBeGreaterThan(2);
});
