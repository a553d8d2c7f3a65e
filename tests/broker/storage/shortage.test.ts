import { mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { CheckpointFile } from '../../../broker/src/storage/checkpoint.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch, readAll, rejection } from '../../support/batches.js';
import { DescriptorLimit } from '../../support/descriptor-limit.js';
import { FaultyPersistence, systemError } from '../../support/faulty-persistence.js';
import {
  crashCopy,
  createTopic,
  logDirectory,
  openTestStorage,
  partitionOf,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

/** Three of these fill a segment. */
const VALUE_BYTES = 1200;
const topicConfig = { 'segment.bytes': '4096', 'max.message.bytes': '4096' };

const failedCall = (code: string, syscall: string): Error =>
  Object.assign(systemError(code), { syscall });
/** As the native pool of syncs refuses a job. */
const poolFull = (): Error => failedCall('EAGAIN', 'mr-sync');

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let storage: TestStorage;
let faults: FaultyPersistence;
let partition: Partition;
let warnings: string[];

const open = async (): Promise<void> => {
  const logger = pino(
    { level: 'warn' },
    { write: (line: string) => warnings.push((JSON.parse(line) as { msg: string }).msg) },
  );
  storage = await openTestStorage(dir.path, {
    wrap: (inner) => (faults = new FaultyPersistence(inner)),
    logger,
  });
  if (storage.topics.byName('t') === undefined) await createTopic(storage, topicConfig);
  partition = partitionOf(storage);
};

beforeEach(async () => {
  warnings = [];
  dir = await makeTempDir();
  await open();
});

afterEach(async () => {
  faults.letSyncsGo();
  await storage.close().catch(() => undefined);
  await dir.remove();
});

const append = (tag: string, acks: 1 | -1): ReturnType<Partition['append']> =>
  partition.append(chunksOf(makeBatch({ tag, valueBytes: VALUE_BYTES })), acks);
const tags = async (): Promise<string[]> =>
  (await readAll(partition)).map(({ value }) => value.replace(/#.*/, ''));
/** Resolves when the checkpoint on the disk has caught up with the log. */
const checkpointed = async (): Promise<void> => {
  const path = join(logDirectory(dir.path, partition), 'checkpoint');
  while ((await CheckpointFile.load(path)).current?.endOffset !== partition.endOffset) {
    await setImmediate();
  }
};
const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);
const crash = async (): Promise<void> => {
  const copy = await crashCopy(dir.path);
  await storage.close().catch(() => undefined);
  await dir.remove();
  dir = copy;
  await open();
};

describe('a log that runs short of something', () => {
  test('of descriptors while segments are sealed goes on and loses nothing', async () => {
    const limit = await DescriptorLimit.control();
    try {
      await append('0', -1);
      faults.holdSyncs();
      for (const tag of numbered(12).slice(1)) await append(tag, 1);
      const last = append('12', -1);
      await faults.syncHeld();
      await limit.exhaust();
      faults.letSyncsGo();
      expect((await last).baseOffset).toBe(12);
    } finally {
      await limit.close();
    }
    expect(partition.state).toBe('online');
    await append('13', -1);
    await crash();
    expect(await tags()).toEqual(numbered(14));
  });

  test('of descriptors for a new segment refuses the append, and no more than that', async () => {
    const limit = await DescriptorLimit.control();
    try {
      for (const tag of numbered(3)) await append(tag, 1);
      await limit.exhaust();
      expect(await rejection(append('3', 1))).toMatchObject({ errorName: 'STORAGE_ERROR' });
    } finally {
      await limit.close();
    }
    expect(partition.state).toBe('online');
    for (const tag of ['3', '4']) await append(tag, -1);
    expect(await tags()).toEqual(numbered(5));
  });

  test.each([1, 3])('of room in the pool of syncs, %i times, acknowledges later', async (times) => {
    for (let i = 0; i < times; i += 1) faults.syncFaults.push(poolFull());
    expect((await append('0', -1)).baseOffset).toBe(0);
    expect(faults.syncs).toBe(times + 1);
    expect(warnings).toHaveLength(1);
  });

  test('of that at its end syncs a little later', async () => {
    await append('0', 1);
    faults.syncFaults.push(poolFull(), poolFull());
    await storage.close();
    await open();
    expect(storage.dataDir.cleanStop).toBe(true);
    expect(await tags()).toEqual(['0']);
  });

  test('is another thing than a sync that was made and failed so', async () => {
    faults.syncFaults.push(failedCall('EAGAIN', 'msync'));
    expect((await rejection(append('0', -1))).errorName).toBe('PARTITION_OFFLINE');
    expect(faults.syncs).toBe(1);
  });
});

describe('a log that failed', () => {
  test('keeps every segment that was synced before the sync that failed', async () => {
    await append('0', -1);
    faults.holdSyncs();
    for (const tag of numbered(12).slice(1)) await append(tag, 1);
    await faults.syncHeld();
    // The first segment's sync is on its way; the two behind it come together in the next round.
    faults.syncFaults.push(undefined, undefined, systemError('EIO'));
    const offline = new Promise<void>((resolve) => {
      partition.onVisible(() => {
        if (partition.state === 'offline') resolve();
      });
    });
    faults.letSyncsGo();
    await offline;
    await crash();
    expect(await tags()).toEqual(numbered(6));
  });

  test('to append says so, and what was appended before is still trusted', async () => {
    await append('0', -1);
    await append('1', 1);
    faults.appendFaults.push(systemError('EIO'));
    await rejection(append('2', 1));
    expect(partition.problem?.message).toMatch(/^append to t-0 \(.*EIO/);
    await crash();
    expect(await tags()).toEqual(['0', '1']);
  });

  test('to write its checkpoint says so', async () => {
    await append('0', -1);
    await checkpointed();
    const checkpoint = join(logDirectory(dir.path, partition), 'checkpoint');
    await rm(checkpoint);
    await mkdir(checkpoint);
    const offline = new Promise<void>((resolve) => {
      partition.onVisible(() => {
        if (partition.state === 'offline') resolve();
      });
    });
    storage.clock.advance(10_000);
    // Whether this is acknowledged first or refused already is a matter of turns.
    await Promise.allSettled([append('1', -1)]);
    await offline;
    expect(partition.problem?.message).toMatch(/^checkpoint of t-0 \(/);
  });
});

test('what cannot be written beside the log is reported once, until it can be again', async () => {
  const inTheWay = join(logDirectory(dir.path, partition), 'producers.json.tmp');
  const round = async (tag: string): Promise<void> => {
    storage.clock.advance(10_000);
    await append(tag, -1);
    await checkpointed();
  };
  await mkdir(logDirectory(dir.path, partition));
  await mkdir(inTheWay);
  for (const tag of ['0', '1', '2']) await round(tag);
  expect(warnings).toEqual([expect.stringContaining('could not write the producer snapshot')]);
  await rmdir(inTheWay);
  await round('3');
  await mkdir(inTheWay);
  const producer = { producerId: 1, producerEpoch: 0, baseSequence: 0 };
  await partition.append(chunksOf(makeBatch(producer)), 1);
  for (const tag of ['4', '5']) await round(tag);
  expect(warnings).toHaveLength(2);
  await rmdir(inTheWay);
});
