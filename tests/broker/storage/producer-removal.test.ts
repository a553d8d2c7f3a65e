import { mkdir, readFile, readdir, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readJsonFile } from '../../../broker/src/storage/json-file.js';
import type { Log } from '../../../broker/src/storage/log.js';
import { applyRetention } from '../../../broker/src/storage/retention.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch, readAll, rejection } from '../../support/batches.js';
import { FaultyPersistence } from '../../support/faulty-persistence.js';
import { recordSyncs } from '../../support/recorded-syncs.js';
import {
  crashCopy,
  createTopic,
  filesIn,
  logDirectory,
  openTestStorage,
  partitionOf,
  TestClock,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';
import { linesLogger } from './lines-logger.js';
import type { LinesLogger } from './lines-logger.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let storage: TestStorage;
let partition: Partition;
let faults: FaultyPersistence;
let lines: LinesLogger;
let clock: TestClock;
/** The topic that is looked at. */
let name: string;

const open = async (): Promise<void> => {
  lines = linesLogger();
  storage = await openTestStorage(dir.path, {
    ...{ clock, logger: lines.logger },
    wrap: (inner) => (faults = new FaultyPersistence(inner)),
  });
  if (storage.topics.byName(name) === undefined) await createTopic(storage, {}, name);
  partition = partitionOf(storage, name);
};
const cleanRestart = async (): Promise<void> => {
  await storage.close();
  await open();
};
/** @param harm is done to the log's directory before the restart. */
const kill = async (harm: (at: string) => Promise<void> = () => Promise.resolve()) => {
  const copy = await crashCopy(dir.path);
  await storage.close();
  await dir.remove();
  dir = copy;
  await harm(logDirectory(dir.path, partition));
  await open();
};

beforeEach(async () => {
  name = 't';
  clock = new TestClock();
  dir = await makeTempDir();
  await open();
});
afterEach(async () => {
  faults.letSyncsGo();
  await storage.close();
  await dir.remove();
});

const directory = (): string => logDirectory(dir.path, partition);
const log = (): Log => {
  if (partition.log === undefined) throw new Error('offline');
  return partition.log;
};
const send = async (
  producerId: number,
  baseSequence: number,
  acks: 1 | -1 = -1,
  valueBytes = 20,
): Promise<number> => {
  const batch = makeBatch({ producerId, producerEpoch: 0, baseSequence, valueBytes });
  return (await partition.append(chunksOf(batch), acks)).baseOffset;
};
const snapshotOffset = async (): Promise<number> =>
  ((await readJsonFile(join(directory(), 'producers.json'))) as { offset: number }).offset;
const deleteAll = async (): Promise<void> => {
  await log().seal();
  await partition.deleteRecords(-1);
  expect(await filesIn(directory(), '.log')).toEqual([]);
};

describe('when segments go, producers', () => {
  test.each([
    ['a kill', 'a clean restart', kill, cleanRestart],
    ['a kill', 'a kill', kill, kill],
    ['a clean restart', 'a kill', cleanRestart, kill],
  ])('are known after %s before and %s behind', async (_, __, before, behind) => {
    await storage.topics.create({
      ...{ name: 'u', partitions: 1 },
      config: { 'segment.bytes': '4096', 'max.message.bytes': '4096' },
    });
    name = 'u';
    partition = partitionOf(storage, name);
    const large = (id: number, at: number): Promise<number> => send(id, at, -1, 1_200);
    await large(6, 0);
    const offsets = [await large(5, 0), await large(5, 1), await large(5, 2)];
    for (let i = 1; i < 20; i += 1) await large(6, i);
    await before();
    await partition.deleteRecords(-1);
    await behind();
    expect((await filesIn(directory(), '.log')).length).toBeLessThan(2);
    for (const [i, offset] of offsets.entries()) expect(await large(5, i)).toBe(offset);
    expect((await rejection(large(5, 4))).errorName).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    const { endOffset } = partition;
    expect(await large(5, 3)).toBe(endOffset);
    expect(await large(6, 20)).toBe(endOffset + 1);
    expect((await rejection(large(6, 3))).errorName).toBe('DUPLICATE_SEQUENCE_NUMBER');
    expect(await readAll(partition, partition.startOffset)).toHaveLength(2);
  });

  test('are known although there are so many that checkpoints go without them', async () => {
    const many = Array.from({ length: 1_500 }, (_, id) => id);
    let rounds = 0;
    // Until the last checkpoint went without.
    do {
      await Promise.all(many.map((id) => send(id, rounds, 1)));
      rounds += 1;
      await log().seal();
    } while ((await snapshotOffset()) === partition.endOffset);
    const repeated = partition.endOffset - many.length + 7;
    await partition.deleteRecords(-1);
    expect(await filesIn(directory(), '.log')).toEqual([]);
    await kill();
    expect(await send(7, rounds - 1)).toBe(repeated);
    const { endOffset } = partition;
    expect(await send(8, rounds)).toBe(endOffset);
  });

  test('keep the segments until they can be written down', async () => {
    const bases = async (): Promise<number[]> =>
      (await filesIn(directory(), '.log')).map((name) => parseInt(name, 10));
    const block = (at: string): Promise<void> => mkdir(join(at, 'producers.json.tmp'));
    await send(1, 0);
    await block(directory());
    const last = await send(1, 1);
    await log().seal();
    expect(await partition.deleteRecords(-1)).toBe(2);
    expect(lines.count(/segments below the start of the log stay/)).toBe(1);
    expect(await bases()).toEqual([0]);
    // What is left over is found by a start.
    await kill(block);
    expect(lines.count(/segments below the start of the log stay/)).toBe(1);
    expect(await bases()).toEqual([0]);
    await kill();
    expect(await bases()).toEqual([]);
    await kill();
    expect(await send(1, 1)).toBe(last);
    expect(await send(1, 2)).toBe(partition.endOffset - 1);
  });

  test('are on the device, by name too, before the files go', async () => {
    await send(1, 0);
    await log().seal();
    await send(1, 1);
    const begun = await recordSyncs(() => deleteAll());
    const paths = begun.map(({ path }) => path);
    const named = paths.lastIndexOf(directory());
    expect(named).toBeGreaterThan(paths.lastIndexOf(join(directory(), 'producers.json.tmp')));
    // Once more costs nothing: it is there already.
    for (let i = 0; i < 2; i += 1) {
      await partition.append(chunksOf(makeBatch()), -1);
      await log().seal();
    }
    const again = await recordSyncs(async () => {
      await partition.deleteRecords(-1);
    });
    expect(again.map(({ path }) => path)).not.toContain(directory());
  });

  test('of a tail that is not synced yet hold up the files, not the start', async () => {
    const inTheWay = join(directory(), 'producers.json.tmp');
    await send(1, 0);
    await mkdir(inTheWay);
    await send(1, 1);
    await log().seal();
    await rmdir(inTheWay);
    await send(1, 2);
    faults.holdSyncs();
    await send(1, 3, 1);
    const deleting = partition.deleteRecords(-1);
    await faults.syncHeld();
    expect(partition.startOffset).toBe(4);
    expect(await filesIn(directory(), '.log')).toHaveLength(2);
    faults.letSyncsGo();
    await deleting;
    expect(await filesIn(directory(), '.log')).toHaveLength(1);
    expect(await snapshotOffset()).toBe(4);
  });

  test('are known where a power cut brought back what was removed', async () => {
    for (let i = 0; i < 3; i += 1) {
      await send(1, i);
      await log().seal();
    }
    const saved = await Promise.all(
      (await filesIn(directory(), '.log')).map(
        async (name) => [name, await readFile(join(directory(), name))] as const,
      ),
    );
    expect(saved).toHaveLength(3);
    await deleteAll();
    await kill(async (at) => {
      for (const [name, bytes] of saved.slice(1)) await writeFile(join(at, name), bytes);
      // As if the snapshot had been of a kind that is not understood.
      await writeFile(join(at, 'producers.json'), '{}');
    });
    expect(await filesIn(directory(), '.log')).toEqual([]);
    await kill();
    expect(await send(1, 2)).toBe(2);
    expect(await send(1, 1)).toBe(1);
    expect(await send(1, 3)).toBe(partition.endOffset - 1);
  });
});

describe('a snapshot of producers', () => {
  test('is written by a clean stop also where only a restart looked for them', async () => {
    await send(1, 0);
    await kill(async (at) => writeFile(join(at, 'producers.json'), '{}'));
    await cleanRestart();
    expect(await snapshotOffset()).toBe(1);
    expect(await send(1, 0)).toBe(0);
  });

  test('is left alone by starts and stops between which nothing changed', async () => {
    await storage.topics.create({ name: 'many', partitions: 20, config: {} });
    for (let i = 0; i < 10; i += 1) {
      const one = partitionOf(storage, 'many', i);
      const producer = i % 2 === 0 ? {} : { producerId: i, producerEpoch: 0, baseSequence: 0 };
      await one.append(chunksOf(makeBatch(producer)), -1);
      if (i < 5) await one.log?.seal();
    }
    await cleanRestart();
    const files = async (): Promise<unknown[]> => {
      const found: unknown[] = [];
      for (let i = 0; i < 20; i += 1) {
        const at = logDirectory(dir.path, partitionOf(storage, 'many', i));
        for (const name of (await readdir(at).catch(() => [])).sort()) {
          const { ino, mtimeMs } = await stat(join(at, name));
          found.push([i, name, ino, mtimeMs]);
        }
      }
      return found;
    };
    const before = await files();
    expect(before.length).toBeGreaterThan(20);
    await cleanRestart();
    expect(await files()).toEqual(before);
    // After a kill too: no marker of a clean stop is left.
    await storage.drop();
    await open();
    expect(storage.dataDir.cleanStop).toBe(false);
    expect(await files()).toEqual(before);
    await cleanRestart();
    expect(await files()).toEqual(before);
  });

  test('that was taken where a gap ends is believed', async () => {
    const spoil = (at: string): Promise<void> => writeFile(join(at, 'producers.json'), '{}');
    await send(1, 0);
    await kill(spoil);
    // Makes the segment behind the gap, with nothing in it.
    faults.appendFaults.push(Object.assign(new Error('full'), { code: 'ENOSPC' }));
    await rejection(send(1, 1));
    await kill(spoil);
    await cleanRestart();
    expect(await snapshotOffset()).toBeGreaterThan(1);
    await partition.deleteRecords(-1);
    expect((await filesIn(directory(), '.log')).map((file) => parseInt(file, 10))).not.toContain(0);
    await kill();
    expect(await send(1, 0)).toBe(0);
    expect(await send(1, 1)).toBe(partition.endOffset - 1);
  });
});

describe('after a kill', () => {
  test('retention gets at every segment of a log that stays silent', async () => {
    await storage.topics.create({
      ...{ name: 'u', partitions: 1 },
      config: { 'segment.bytes': '4096', 'max.message.bytes': '4096', 'retention.bytes': '8192' },
    });
    name = 'u';
    partition = partitionOf(storage, name);
    for (let i = 0; i < 60; i += 1) {
      await partition.append(chunksOf(makeBatch({ valueBytes: 1_200, tag: `${i}` })), 1);
    }
    expect(partition.segmentCount).toBe(20);
    await kill();
    await applyRetention(log(), clock.nowMs);
    expect(partition.segmentCount).toBeLessThan(4);
  });

  test('epochs that ended before the start of the log are forgotten with their segments', async () => {
    const epochs = async (): Promise<number> =>
      ((await readJsonFile(join(directory(), 'epochs.json'))) as unknown[]).length;
    for (let i = 0; i < 4; i += 1) {
      await send(1, i);
      await kill();
    }
    await send(1, 4);
    expect(await epochs()).toBe(4);
    await log().seal();
    await send(1, 5);
    const { endOffset } = partition;
    await partition.deleteRecords(endOffset - 1);
    expect(await epochs()).toBe(1);
    for (const restart of [kill, cleanRestart]) {
      await restart();
      expect(await readAll(partition, partition.startOffset)).toHaveLength(1);
    }
    expect(await send(1, 6)).toBe(partition.endOffset - 1);
    await kill();
    expect(await readAll(partition, partition.startOffset)).toHaveLength(2);
  });
});
