import { stat, utimes } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { crc32c } from '@millrace/protocol';
import type { Log } from '../../../broker/src/storage/log.js';
import { Maintenance } from '../../../broker/src/storage/maintenance.js';
import type { MaintainedLog } from '../../../broker/src/storage/maintenance.js';
import { applyRetention } from '../../../broker/src/storage/retention.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import {
  chunksOf,
  drain,
  makeBatch,
  readAll,
  recordsIn,
  rejection,
  T0,
} from '../../support/batches.js';
import { linesLogger } from './lines-logger.js';
import type { LinesLogger } from './lines-logger.js';
import {
  createTopic,
  crashCopy,
  filesIn,
  logDirectory,
  openTestStorage,
  partitionOf,
  TestClock,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const HOUR_MS = 3_600_000;
/** Three batches of these fill a segment. */
const small = { 'segment.bytes': '4096', 'max.message.bytes': '4096' };
const VALUE_BYTES = 1200;

describe('retention', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;
  let clock: TestClock;
  let lines: LinesLogger;
  let partition: Partition;

  const open = async (config: Readonly<Record<string, string>> = {}): Promise<void> => {
    lines = linesLogger();
    storage = await openTestStorage(dir.path, { clock, logger: lines.logger });
    if (storage.topics.byName('t') === undefined)
      await createTopic(storage, { ...small, ...config });
    partition = partitionOf(storage);
  };
  const reopen = async (crash: boolean): Promise<void> => {
    const copy = crash ? await crashCopy(dir.path) : undefined;
    await storage.close();
    if (copy !== undefined) {
      await dir.remove();
      dir = copy;
    }
    await open();
  };
  const log = (): Log => {
    if (partition.log === undefined) throw new Error('offline');
    return partition.log;
  };
  /** One batch each, an hour apart from the first on. */
  const append = async (count: number, firstMs = T0): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      const at = { timestampMs: firstMs + i * HOUR_MS, tag: `${partition.endOffset}` };
      storage.clock.nowMs = Math.max(storage.clock.nowMs, at.timestampMs);
      await partition.append(chunksOf(makeBatch({ valueBytes: VALUE_BYTES, ...at })), 1);
    }
  };
  const retain = (): Promise<void> => applyRetention(log(), storage.clock.nowMs);
  /** Everything synced, checkpointed, and every segment but the last sealed. */
  const settle = reopen.bind(undefined, false);
  const offsets = async (): Promise<number[]> =>
    (await readAll(partition, partition.startOffset)).map(({ offset }) => offset);
  const bases = async (): Promise<number[]> =>
    (await filesIn(logDirectory(dir.path, partition), '.log')).map((name) => parseInt(name, 10));

  beforeEach(async () => {
    dir = await makeTempDir();
    clock = new TestClock();
  });

  afterEach(async () => {
    await storage.close();
    await dir.remove();
  });

  test.each([false, true])('by time, oldest segments first (crash after: %s)', async (crash) => {
    await open({ 'retention.ms': String(24 * HOUR_MS) });
    await append(10); // 0-2, 3-5, 6-8, 9
    await settle();
    await retain();
    expect(await bases()).toEqual([0, 3, 6, 9]);
    // The newest record of the second segment is exactly as old as may be.
    storage.clock.nowMs = T0 + 29 * HOUR_MS;
    await retain();
    expect(partition.startOffset).toBe(3);
    storage.clock.advance(1);
    await retain();
    expect(partition.startOffset).toBe(6);
    expect(await bases()).toEqual([6, 9]);
    expect(await filesIn(logDirectory(dir.path, partition), '.index')).toHaveLength(2);
    expect(await offsets()).toEqual([6, 7, 8, 9]);
    expect((await rejection(partition.read(5, 100, true))).errorName).toBe('OFFSET_OUT_OF_RANGE');
    expect(
      lines.find(/removed the oldest segments: they are older than retention.ms/),
    ).toMatchObject({ log: 't-0', segments: 1, startOffset: 3 });
    await reopen(crash);
    expect(partition.startOffset).toBe(6);
    expect(await offsets()).toEqual([6, 7, 8, 9]);
  });

  test('by size, never below retention.bytes', async () => {
    await open({ 'retention.bytes': '5200' });
    await append(10);
    await settle();
    const before = partition.sizeBytes;
    await retain();
    // Segments of three batches go while what is left is large enough.
    expect(partition.startOffset).toBe(3);
    expect(partition.sizeBytes).toBeLessThan(before);
    expect(partition.sizeBytes).toBeGreaterThanOrEqual(5200);
    await storage.topics.alterConfig('t', [{ key: 'retention.bytes', value: '5000' }]);
    await retain();
    expect(partition.startOffset).toBe(6);
    await storage.topics.alterConfig('t', [{ key: 'retention.bytes', value: '0' }]);
    await retain();
    expect(partition.startOffset).toBe(9); // the segment appended to stays, whatever its size
    expect(await offsets()).toEqual([9]);
  });

  test.each([
    ['-1 for ever', { 'retention.ms': '-1', 'retention.bytes': '-1' }, 0],
    ['only compacted', { 'cleanup.policy': 'compact', 'retention.ms': '1' }, 0],
    ['compacted and deleted', { 'cleanup.policy': 'compact,delete', 'retention.ms': '1' }, 9],
  ])('%s', async (_name, config, start) => {
    await open({ 'retention.bytes': '0' });
    await append(10);
    await storage.topics.alterConfig(
      't',
      Object.entries({ 'retention.bytes': null, ...config }).map(([key, value]) => ({
        key,
        value,
      })),
    );
    await settle();
    storage.clock.nowMs = T0 + 9 * HOUR_MS;
    await retain();
    expect(partition.startOffset).toBe(start);
  });

  test('records without a time are as old as their file', async () => {
    await open({ 'retention.ms': String(HOUR_MS) });
    for (let i = 0; i < 7; i += 1) {
      const batch = makeBatch({ valueBytes: VALUE_BYTES });
      batch.writeBigInt64BE(-1n, 27);
      batch.writeBigInt64BE(-1n, 35);
      batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
      await partition.append(chunksOf(batch), 1);
    }
    await settle();
    const [old, young] = await filesIn(logDirectory(dir.path, partition), '.log');
    const touch = (name = '', ms = 0): Promise<void> =>
      utimes(join(logDirectory(dir.path, partition), name), ms / 1000, ms / 1000);
    await touch(old, T0 - 2 * HOUR_MS);
    await touch(young, T0);
    await retain();
    expect(partition.startOffset).toBe(3);
  });

  test.each([false, true])('a log that fell silent goes to its end (crash: %s)', async (crash) => {
    await open({ 'retention.ms': String(HOUR_MS) });
    const stamp = { producerId: 7, producerEpoch: 0 };
    for (let i = 0; i < 5; i += 1) {
      const bytes = makeBatch({ valueBytes: VALUE_BYTES, ...stamp, baseSequence: i });
      await partition.append(chunksOf(bytes), -1);
    }
    storage.clock.advance(2 * HOUR_MS);
    await retain();
    expect(partition).toMatchObject({
      startOffset: 5,
      endOffset: 5,
      sizeBytes: 0,
      segmentCount: 0,
    });
    expect(await bases()).toEqual([]);
    await reopen(crash);
    const start = partition.endOffset;
    expect(partition.startOffset).toBe(5);
    expect(await partition.read(5, 100, true)).toBeUndefined();
    // Its producer goes on where it was, and so do the offsets.
    const next = makeBatch({ ...stamp, baseSequence: 5, timestampMs: storage.clock.nowMs });
    expect((await partition.append(chunksOf(next), -1)).baseOffset).toBe(start);
    await retain();
    expect(await offsets()).toEqual([start]);
    await reopen(crash);
    expect(await offsets()).toEqual([start]);
  });

  test('segment.ms seals what is old: at an append, and of a log that nobody appends to', async () => {
    await open({ 'segment.ms': String(HOUR_MS), 'retention.ms': '-1' });
    const at = async (ms: number): Promise<void> => {
      storage.clock.nowMs = T0 + ms;
      await partition.append(chunksOf(makeBatch({ tag: `${ms}` })), -1);
    };
    await at(0);
    await at(HOUR_MS);
    expect(await bases()).toEqual([0]);
    await at(HOUR_MS + 1);
    expect(await bases()).toEqual([0, 2]);
    storage.clock.nowMs = T0 + 2 * HOUR_MS + 1;
    await retain();
    expect(log().canSeal).toBe(true);
    storage.clock.advance(1);
    await retain();
    expect(log().canSeal).toBe(false);
    expect(
      log()
        .sealedSegments()
        .map(({ baseOffset }) => baseOffset),
    ).toEqual([0, 2]);
    for (const crash of [false, true]) {
      await reopen(crash);
      expect(
        log()
          .sealedSegments()
          .map(({ baseOffset }) => baseOffset),
      ).toEqual([0, 2]);
      expect(await offsets()).toEqual([0, 1, 2]);
    }
    const { endOffset } = partition;
    await at(3 * HOUR_MS);
    expect(await bases()).toEqual([0, 2, endOffset]);
    expect(await offsets()).toEqual([0, 1, 2, endOffset]);
  });

  test('a segment of before a restart is sealed when it is old', async () => {
    await open({ 'segment.ms': String(HOUR_MS), 'retention.ms': '-1' });
    await append(1);
    await settle();
    const [name = ''] = await filesIn(logDirectory(dir.path, partition), '.log');
    const { mtimeMs } = await stat(join(logDirectory(dir.path, partition), name));
    storage.clock.nowMs = mtimeMs - HOUR_MS;
    await retain();
    expect(log().canSeal).toBe(true);
    storage.clock.nowMs = mtimeMs + 2 * HOUR_MS;
    await retain();
    expect(log().canSeal).toBe(false);
    await append(1);
    expect(await bases()).toEqual([0, 1]);
  });

  test('what is being sent stays readable, and readers get data or out of range', async () => {
    await open({ 'retention.ms': '-1', 'index.interval.bytes': '1024' });
    await append(40);
    await settle();
    const expected = await readAll(partition, 0);
    const held = await partition.read(0, 4096, true);
    let moving = true;
    const outcomes = new Set<string>();
    const reader = async (seed: number): Promise<void> => {
      for (let i = seed; moving; i = (i * 7 + 3) % 40) {
        await nextTurn();
        try {
          const region = await partition.read(i, 2000, true);
          if (region === undefined) throw new Error(`nothing at ${i}`);
          const records = recordsIn(drain(region));
          const first = records[0]?.offset ?? -1;
          expect(records).toEqual(expected.slice(first, first + records.length));
          outcomes.add('data');
        } catch (error) {
          expect(error).toMatchObject({ errorName: 'OFFSET_OUT_OF_RANGE' });
          outcomes.add('out of range');
        }
      }
    };
    const readers = [1, 5, 11, 23].map(reader);
    for (let upTo = 1; upTo <= 39; upTo += 1) await partition.deleteRecords(upTo);
    moving = false;
    await Promise.all(readers);
    expect([...outcomes].sort()).toEqual(['data', 'out of range']);
    expect((await bases())[0]).toBe(39);
    if (held === undefined) throw new Error('nothing was read');
    expect(recordsIn(drain(held))).toEqual(expected.slice(0, 3));
  });

  test('maintenance looks at every log, and lives with one that fails', async () => {
    await open({ 'retention.ms': String(HOUR_MS) });
    await append(4);
    const other = await createTopic(storage, { 'retention.ms': String(HOUR_MS) }, 'u');
    await other.append(chunksOf(makeBatch()), -1);
    storage.clock.advance(9 * HOUR_MS);
    const broken = {
      canSeal: true,
      lastSegment: { firstAppendMs: () => Promise.reject(new Error('no')) },
    };
    const logs = [broken, log(), other.log] as MaintainedLog[];
    const maintenance = new Maintenance({ logs: () => logs, environment: storage.environment });
    await Promise.all([maintenance.checkRetention(), maintenance.checkRetention()]);
    expect(partition.startOffset).toBe(4);
    expect(other.startOffset).toBe(1);
    expect(lines.count(/retention of a log failed/)).toBe(1);
    await maintenance.close();
  });
});
