import { appendFile, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch, readAll, rejection } from '../../support/batches.js';
import type { BatchSpec } from '../../support/batches.js';
import { FaultyPersistence, systemError } from '../../support/faulty-persistence.js';
import {
  crashCopy,
  createTopic,
  filesIn,
  logDirectory,
  openTestStorage,
  partitionOf,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const config = { 'segment.bytes': '4096', 'max.message.bytes': '4096' };
/** Three of these fill a segment. */
const large = { valueBytes: 1200 };

describe('recovery', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;
  let faults: FaultyPersistence;
  let partition: Partition;
  let directory: string;

  const open = async (): Promise<void> => {
    storage = await openTestStorage(dir.path, {
      wrap: (inner) => (faults = new FaultyPersistence(inner)),
    });
    if (storage.topics.byName('t') === undefined) await createTopic(storage, config);
    partition = partitionOf(storage);
    directory = logDirectory(dir.path, partition);
  };
  const append = async (spec: BatchSpec, acks: 1 | -1 = 1): Promise<number> =>
    (await partition.append(chunksOf(makeBatch(spec)), acks)).baseOffset;
  const offsets = async (from = 0): Promise<number[]> =>
    (await readAll(partition, from)).map(({ offset }) => offset);
  const crash = async (harm?: (directory: string) => Promise<void>): Promise<void> => {
    const copy = await crashCopy(dir.path);
    faults.letSyncsGo();
    await storage.close();
    await dir.remove();
    dir = copy;
    await harm?.(logDirectory(dir.path, partition));
    await open();
  };
  const stopCleanly = async (harm?: (directory: string) => Promise<void>): Promise<void> => {
    await storage.close();
    await harm?.(directory);
    await open();
  };
  const range = (end: number): number[] => Array.from({ length: end }, (_, i) => i);

  beforeEach(async () => {
    dir = await makeTempDir();
    await open();
  });

  afterEach(async () => {
    await storage.close();
    await dir.remove();
  });

  test('after a crash amid rolls every segment ends where its data ends', async () => {
    faults.holdSyncs(); // so that no sealed segment gets its last sync and its trim
    for (let i = 0; i < 10; i += 1) await append({ ...large, tag: `${i}` });
    const copy = await crashCopy(dir.path);
    const sizes = async (path: string): Promise<number[]> =>
      Promise.all(
        (await filesIn(path, '.log')).map(async (name) => (await stat(join(path, name))).size),
      );
    expect((await sizes(logDirectory(copy.path, partition)))[0]).toBe(4096);
    faults.letSyncsGo();
    await storage.close();
    await dir.remove();
    dir = copy;
    await open();
    expect(await offsets()).toEqual(range(10));
    expect(partition.sizeBytes).toBe((await sizes(directory)).reduce((a, b) => a + b));
    expect(await filesIn(directory, '.cut')).toEqual([]);
    for (let from = 0; from < 10; from += 1) expect((await offsets(from))[0]).toBe(from);
  });

  test('the size is that of all segments, before and after a restart', async () => {
    const stored = async (): Promise<number> => {
      const names = await filesIn(directory, '.log');
      const stats = await Promise.all(names.map((name) => stat(join(directory, name))));
      return stats.reduce((sum, { size }) => sum + size, 0);
    };
    for (let i = 0; i < 10; i += 1) await append({ ...large, tag: `${i}` });
    const before = partition.sizeBytes;
    await stopCleanly();
    expect(partition.sizeBytes).toBe(before);
    expect(await stored()).toBe(before);
    faults.appendFaults.push(systemError('ENOSPC'));
    await rejection(append(large));
    for (let i = 0; i < 5; i += 1) await append({ ...large, tag: `${i}` });
    const after = partition.sizeBytes;
    await stopCleanly();
    expect([partition.sizeBytes, await stored()]).toEqual([after, after]);
  });

  test('a bad batch in a segment takes those behind it out of the log', async () => {
    faults.holdSyncs();
    for (let i = 0; i < 10; i += 1) await append({ ...large, tag: `${i}` });
    const copy = await crashCopy(dir.path);
    faults.letSyncsGo();
    await storage.close();
    await dir.remove();
    dir = copy;
    const path = join(logDirectory(dir.path, partition), (await logs(copy.path))[1] ?? '');
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    await writeFile(path, bytes);
    await open();
    expect(await offsets()).toEqual([0, 1, 2]);
    expect((await filesIn(directory, '.cut')).length).toBeGreaterThanOrEqual(3);
    expect(await append({})).toBeGreaterThanOrEqual(10);
  });
  const logs = (root: string): Promise<string[]> => filesIn(logDirectory(root, partition), '.log');

  test('a first append that fails after a crash does not harm the next clean start', async () => {
    await append({}, -1);
    await crash();
    faults.appendFaults.push(systemError('ENOSPC'));
    expect((await rejection(append({ tag: 'full' }))).errorName).toBe('DISK_FULL');
    const end = partition.endOffset;
    await stopCleanly();
    expect(partition.endOffset).toBe(end);
    faults.holdSyncs(); // so that the checkpoint stays at the segment's beginning
    expect(await append({ tag: 'now' })).toBe(end);
    expect(partition.leaderEpoch).toBe(1);
    await crash();
    expect(await offsets()).toEqual([0, end]);
    expect(partition.leaderEpoch).toBe(2);
  });

  test('nor does one that fails after each of several crashes', async () => {
    await append({}, -1);
    const seen = [0];
    for (let i = 0; i < 3; i += 1) {
      await crash();
      faults.appendFaults.push(systemError('ENOSPC'));
      await rejection(append({}));
      await crash();
      seen.push(await append({}, -1));
      expect(await offsets()).toEqual(seen);
    }
    await crash();
    expect(await offsets()).toEqual(seen);
  });

  test('segments without a checkpoint are CORRUPT_LOG', async () => {
    await append({}, -1);
    await crash((at) => rm(join(at, 'checkpoint')));
    expect(partition.problem).toMatchObject({ errorName: 'CORRUPT_LOG' });
    expect(partition.problem?.message).toContain('checkpoint');
    expect((await rejection(partition.read(0, 1, true))).errorName).toBe('CORRUPT_LOG');
  });

  test.each(['crash', 'clean stop'])(
    'lost and damaged indexes are rebuilt after a %s',
    async (way) => {
      for (let i = 0; i < 60; i += 1) await append({ tag: `${i}`, records: 3, valueBytes: 300 });
      const harm = async (at: string): Promise<void> => {
        for (const [i, name] of (await filesIn(at, '.index')).entries()) {
          const path = join(at, name);
          if (i % 3 === 0) await rm(path);
          else if (i % 3 === 1) await writeFile(path, 'no index at all, but of some length');
          else await truncate(path, 7);
        }
      };
      await (way === 'crash' ? crash(harm) : stopCleanly(harm));
      expect(await offsets()).toEqual(range(180));
      for (let from = 0; from < 180; from += 7) expect((await offsets(from))[0]).toBe(from);
    },
  );

  describe('of producers', () => {
    const from = (baseSequence: number): BatchSpec => ({
      ...{ producerId: 5, producerEpoch: 0, baseSequence },
    });

    test.each([
      ['as it is', () => Promise.resolve()],
      ['without its snapshot', (at: string) => rm(join(at, 'producers.json'), { force: true })],
      ['with a damaged snapshot', (at: string) => writeFile(join(at, 'producers.json'), '{"a":')],
    ])('gives the same answers %s', async (_, harm) => {
      for (let i = 0; i < 8; i += 1) await append(from(i), -1);
      for (const restart of [crash, stopCleanly]) {
        await restart(harm);
        for (const i of [3, 5, 7]) expect(await append(from(i))).toBe(i);
        const old = await rejection(append(from(2)));
        expect(old.errorName).toBe('DUPLICATE_SEQUENCE_NUMBER');
        const gap = await rejection(append(from(9)));
        expect(gap.errorName).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
      }
      expect(await append(from(8))).toBeGreaterThanOrEqual(8);
    });

    test('does not answer for batches that were lost with the tail, however often it crashes', async () => {
      await append(from(0), -1);
      await append(from(1));
      storage.clock.advance(10_000);
      await append({ tag: 'other' }, -1);
      // A power cut took the last two batches, but not the snapshot that was taken of them.
      const producers = `[[5,0,${storage.clock.nowMs},[[0,0,0],[1,1,1]]]]`;
      const snapshot = `{"offset":3,"leaderEpoch":0,"producers":${producers}}`;
      const { encodeJsonFile } = await import('../../../broker/src/storage/json-file.js');
      await crash(async (at) => {
        const log = join(at, (await filesIn(at, '.log'))[0] ?? '');
        await truncate(log, makeBatch(from(0)).length);
        await setCheckpoint(at, makeBatch(from(0)).length, 1);
        await writeFile(join(at, 'producers.json'), encodeJsonFile(JSON.parse(snapshot)));
      });
      expect(await offsets()).toEqual([0]);
      await append({ tag: 'after' });
      await crash(async (at) => {
        await writeFile(join(at, 'producers.json'), encodeJsonFile(JSON.parse(snapshot)));
      });
      const again = await append(from(1));
      expect(again).toBeGreaterThan(3);
      expect(await offsets()).toContain(again);
    });

    /** Puts the checkpoint back to an earlier sync. */
    async function setCheckpoint(at: string, position: number, endOffset: number): Promise<void> {
      const { CheckpointFile } = await import('../../../broker/src/storage/checkpoint.js');
      const file = await CheckpointFile.load(join(at, 'checkpoint'));
      await file.update({ position, endOffset });
      await file.update({ position, endOffset });
    }
  });

  describe('of what lies below the checkpoint', () => {
    beforeEach(async () => {
      for (let i = 0; i < 10; i += 1) await append({ ...large, tag: `${i}` }, -1);
      storage.clock.advance(10_000);
      await append({}, -1);
      await stopCleanly();
      expect(await offsets()).toEqual(range(11));
    });

    const corrupt = (file: string): object => ({
      errorName: 'CORRUPT_LOG',
      message: expect.stringContaining(file),
    });

    test.each(['crash', 'clean stop'])(
      'a lost first segment is damage after a %s, and what is left is served',
      async (way) => {
        const harm = async (at: string): Promise<void> =>
          rm(join(at, (await filesIn(at, '.log'))[0] ?? ''));
        await (way === 'crash' ? crash(harm) : stopCleanly(harm));
        expect(partition.problem).toMatchObject(corrupt(directory));
        expect((await rejection(offsets())).errorName).toBe('CORRUPT_LOG');
        expect((await offsets(3))[0]).toBe(3);
        expect((await rejection(append({}))).errorName).toBe('CORRUPT_LOG');
      },
    );

    test('a lost segment in the middle is an error where it is missing, nothing is skipped', async () => {
      await stopCleanly(async (at) => rm(join(at, (await filesIn(at, '.log'))[1] ?? '')));
      const [, next = ''] = await filesIn(directory, '.log');
      expect(await rejection(offsets())).toMatchObject(corrupt(next));
      expect((await offsets(6))[0]).toBe(6);
    });

    test.each([
      ['within a batch', 100],
      ['between two batches', -1],
    ])('a sealed segment cut %s is an error there, nothing is skipped', async (_, length) => {
      const batchBytes = makeBatch({ ...large, tag: '0' }).length;
      const bytes = length < 0 ? batchBytes : batchBytes + length;
      await stopCleanly(async (at) => {
        const [, second = ''] = await filesIn(at, '.log');
        await truncate(join(at, second), bytes);
        await rm(join(at, second.replace('.log', '.index')), { force: true });
      });
      expect((await rejection(partition.read(4, 1000, false))).errorName).toBe('CORRUPT_LOG');
      expect((await offsets(6))[0]).toBe(6);
    });

    test('other partitions serve', async () => {
      const other = await createTopic(storage, {}, 'other');
      await other.append(chunksOf(makeBatch()), -1);
      await crash(async (at) => rm(join(at, (await filesIn(at, '.log'))[0] ?? '')));
      expect(partition.state).toBe('damaged');
      expect(await readAll(partitionOf(storage, 'other'))).toHaveLength(1);
    });

    test('a damaged epoch history or checkpoint takes it offline', async () => {
      await stopCleanly((at) => writeFile(join(at, 'epochs.json'), '[]'));
      expect(partition.problem).toMatchObject(corrupt('epochs.json'));
      await stopCleanly(async (at) => {
        await rm(join(at, 'epochs.json'));
        await rename(join(at, 'checkpoint'), join(at, 'was'));
        await appendFile(join(at, 'checkpoint'), Buffer.alloc(1024, 1));
      });
      expect(partition.problem).toMatchObject(corrupt('checkpoint'));
    });

    test.each([
      ['smaller by now', 1_000, 1_000],
      ['smaller by now, and were before', 10, 1_000],
    ])(
      'a lost slot gives no offset back where reservations are %s',
      async (_, firstBlock, block) => {
        const restart = async (offsetCeilingBlock: number): Promise<void> => {
          storage = await openTestStorage(dir.path, {
            wrap: (inner) => (faults = new FaultyPersistence(inner)),
            config: { offsetCeilingBlock, maxRecordsPerBatch: 100 },
          });
          partition = partitionOf(storage);
        };
        const powerCut = async (): Promise<string> => {
          const copy = await crashCopy(dir.path);
          await storage.close();
          await dir.remove();
          dir = copy;
          return logDirectory(dir.path, partition);
        };
        await storage.close();
        await restart(firstBlock);
        await append({}, -1);
        await powerCut();
        await restart(block);
        for (let i = 0; i < 3; i += 1) await append({ records: 100, valueBytes: 4 });
        const end = partition.endOffset;
        const at = await powerCut();
        // What was not synced is gone, and with it the slot of the last reservation.
        await rm(join(at, (await filesIn(at, '.log')).at(-1) ?? ''));
        await loseNewestSlot(at);
        await restart(10);
        expect(partition.endOffset).toBeGreaterThanOrEqual(end);
      },
    );

    async function loseNewestSlot(at: string): Promise<void> {
      const path = join(at, 'checkpoint');
      const bytes = await readFile(path);
      const newest = bytes.readBigUInt64BE(8) > bytes.readBigUInt64BE(512 + 8) ? 0 : 512;
      bytes.fill(0xff, newest, newest + 100);
      await writeFile(path, bytes);
    }

    test('a lost newest checkpoint slot is made up for by what lies behind the older one', async () => {
      await append({}, -1);
      // Only the clean stop checkpoints these.
      for (let i = 0; i < 4; i += 1) await append({ ...large, tag: `${i}` }, -1);
      await stopCleanly(loseNewestSlot);
      expect(await offsets()).toEqual(range(16));
      const { offsetCeilingBlock } = storage.environment.config;
      const end = partition.endOffset;
      expect(end).toBeGreaterThanOrEqual(16 + offsetCeilingBlock);
      // The allowance is durable at once: the next crash must not give it back.
      await crash();
      expect(partition.endOffset).toBeGreaterThanOrEqual(end);
    });
  });
});
