import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { emptyManifest, writeManifest } from '../../../broker/src/storage/compaction/manifest.js';
import { SegmentGoneError } from '../../../broker/src/storage/errors.js';
import type { Log } from '../../../broker/src/storage/log.js';
import { Segment } from '../../../broker/src/storage/segment.js';
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
import {
  createTopic,
  crashCopy,
  filesIn,
  logDirectory,
  openTestStorage,
  partitionOf,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const config = {
  'segment.bytes': '4096',
  'max.message.bytes': '4096',
  'index.interval.bytes': '1024',
};

describe('the old end of a log', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;
  let partition: Partition;

  const open = async (): Promise<void> => {
    storage = await openTestStorage(dir.path);
    if (storage.topics.byName('t') === undefined) await createTopic(storage, config);
    partition = partitionOf(storage);
  };
  const goOnWith = async (copy: typeof dir): Promise<void> => {
    await storage.close();
    await dir.remove();
    dir = copy;
    await open();
  };
  const log = (): Log => {
    if (partition.log === undefined) throw new Error('offline');
    return partition.log;
  };
  const append = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      const { endOffset } = partition;
      const batch = { valueBytes: 600, records: 2, timestampMs: T0 + endOffset * 10 };
      await partition.append(chunksOf(makeBatch({ ...batch, tag: `${endOffset}` })), -1);
    }
  };
  const offsets = async (): Promise<number[]> =>
    (await readAll(partition, partition.startOffset)).map(({ offset }) => offset);
  const range = (from: number, end: number): number[] =>
    Array.from({ length: end - from }, (_, i) => from + i);
  const bases = async (): Promise<number[]> =>
    (await filesIn(logDirectory(dir.path, partition), '.log')).map((name) => parseInt(name, 10));

  beforeEach(async () => {
    dir = await makeTempDir();
    await open();
    await append(10); // two records each, three batches to a segment: 0, 6, 12, 18
    await storage.close();
    await open();
  });

  afterEach(async () => {
    await storage.close();
    await dir.remove();
  });

  test('deleteRecords inside a segment hides what is before, at once and for good', async () => {
    let woken = 0;
    partition.onVisible(() => (woken += 1));
    expect(await partition.deleteRecords(9)).toBe(9);
    expect(woken).toBe(1);
    expect(partition).toMatchObject({ startOffset: 9, endOffset: 20 });
    for (const round of ['now', 'clean', 'crash']) {
      if (round === 'clean') await storage.close().then(open);
      if (round === 'crash') await goOnWith(await crashCopy(dir.path));
      expect(await bases()).toEqual([6, 12, 18]);
      expect(await offsets()).toEqual(range(9, 20));
      expect((await rejection(partition.read(8, 100, true))).errorName).toBe('OFFSET_OUT_OF_RANGE');
      // A fetch begins with the whole batch that holds the offset.
      const region = await partition.read(9, 1, true);
      expect(region && recordsIn(drain(region))[0]?.offset).toBe(8);
      expect(await partition.offsetForTimestamp(0)).toEqual({ offset: 9, timestampMs: T0 + 81 });
    }
    expect(await partition.deleteRecords(3)).toBe(9); // never backwards
  });

  test('deleteRecords up to the end, and on', async () => {
    expect(await partition.deleteRecords(-1)).toBe(20);
    expect(await bases()).toEqual([18]);
    expect(await offsets()).toEqual([]);
    expect(await partition.offsetForTimestamp(0)).toBeUndefined();
    await append(1);
    await goOnWith(await crashCopy(dir.path));
    expect(await offsets()).toEqual([20, 21]);
  });

  test.each([
    [21, 'OFFSET_OUT_OF_RANGE', /up to its high watermark 20, not up to offset 21/],
    [-2, 'OFFSET_OUT_OF_RANGE', /offset -2/],
  ])('deleteRecords up to %s is refused', async (offset, name, message) => {
    const error = await rejection(partition.deleteRecords(offset));
    expect(error.errorName).toBe(name);
    expect(error.message).toMatch(message);
    expect(partition.startOffset).toBe(0);
  });

  test('a topic that is only compacted refuses deleteRecords', async () => {
    await storage.topics.alterConfig('t', [{ key: 'cleanup.policy', value: 'compact' }]);
    const { errorName } = await rejection(partition.deleteRecords(1));
    expect(errorName).toBe('POLICY_VIOLATION');
  });

  test.each<[string, readonly string[], boolean]>([
    ['the new start is durable', [], false],
    ['one index is gone', ['00000000000000000000.index'], false],
    ['one segment is gone', ['00000000000000000000.index', '00000000000000000000.log'], false],
    ['both slots say so, and the newer is damaged', [], true],
  ])('a crash when %s', async (_step, gone, damaged) => {
    const before = await crashCopy(dir.path);
    await partition.deleteRecords(13);
    expect(await bases()).toEqual([12, 18]);
    const was = logDirectory(before.path, partition);
    await cp(join(logDirectory(dir.path, partition), 'checkpoint'), join(was, 'checkpoint'));
    for (const name of gone) await rm(join(was, name));
    if (damaged) {
      for (const name of await filesIn(was, '')) {
        if (/0{19}[06]\.(log|index)$/.test(name)) await rm(join(was, name));
      }
      const bytes = await readFile(join(was, 'checkpoint'));
      const newer = bytes.readBigUInt64BE(8) > bytes.readBigUInt64BE(520) ? 0 : 512;
      bytes.writeUInt8(bytes.readUInt8(newer + 20) ^ 0xff, newer + 20);
      await writeFile(join(was, 'checkpoint'), bytes);
    }
    await goOnWith(before);
    expect(partition).toMatchObject({ state: 'online', startOffset: 13 });
    expect(await bases()).toEqual([12, 18]);
    expect(await filesIn(logDirectory(dir.path, partition), '0.index')).toEqual([]);
    expect(await offsets()).toEqual(range(13, 20));
  });

  test('a crash before the new start is durable leaves everything', async () => {
    const before = await crashCopy(dir.path);
    await partition.deleteRecords(13);
    await goOnWith(before);
    expect(await offsets()).toEqual(range(0, 20));
  });

  /** Puts one segment with the bytes of `inputs` in their place, as compaction does. */
  const merge = async (inputs: readonly Segment[]): Promise<void> => {
    const [first] = inputs;
    if (first === undefined) throw new Error('nothing to merge');
    await log().replaceSegments(inputs, async (begin) => {
      const bytes = Buffer.concat(await Promise.all(inputs.map((s) => readFile(s.logPath))));
      await writeFile(`${first.logPath}.cleaned`, bytes);
      await writeManifest(log().directory, emptyManifest);
      await begin();
      await rm(first.indexPath, { force: true });
      await rename(`${first.logPath}.cleaned`, first.logPath);
      for (const { logPath } of inputs.slice(1)) await rm(logPath);
      const { directory } = log();
      return new Segment(directory, first.baseOffset, bytes.length, storage.environment, 1024);
    });
  };

  test('a replaced segment is gone for who has it, and never mixed with the new one', async () => {
    const expected = await readAll(partition, 0);
    const held = await partition.read(2, 1500, true);
    const inputs = log().sealedSegments().slice(0, 2);
    const [first] = inputs as [Segment, Segment];
    // Begun before, and ended after: it must not become the new segment's.
    const late = Promise.resolve(first.index()).catch((error: unknown) => error);
    await merge(inputs);
    const index = await late;
    expect(() => first.acquire()).toThrow(SegmentGoneError);
    expect(() => first.index()).toThrow(SegmentGoneError);
    const [merged] = log().sealedSegments() as [Segment];
    expect(await merged.index()).not.toBe(index);
    expect(log()).toMatchObject({ cleanedTo: 12, segmentCount: 3 });
    expect(partition.sizeBytes).toBe(expected.length > 0 ? log().diskBytes : 0);
    if (held === undefined) throw new Error('nothing was read');
    expect(recordsIn(drain(held))[0]).toEqual(expected[2]);
    expect(await readAll(partition, 0)).toEqual(expected);
    for (const { offset, timestampMs } of expected) {
      expect((await readAll(partition, offset))[0]).toEqual(expected[offset]);
      expect(await partition.offsetForTimestamp(timestampMs)).toEqual({ offset, timestampMs });
    }
    await storage.close();
    await open();
    expect(await readAll(partition, 0)).toEqual(expected);
  });

  test('reads that meet a swap begin again with the new segment', async () => {
    const expected = await readAll(partition, 0);
    const inputs = log().sealedSegments();
    const merging = merge(inputs);
    const reads = Promise.all(range(0, 18).map((offset) => readAll(partition, offset)));
    await merging;
    for (const [offset, records] of (await reads).entries()) {
      expect(records).toEqual(expected.slice(offset));
    }
    expect(log().segmentCount).toBe(2);
  });

  test('inputs that retention took are refused, and nothing was done', async () => {
    const inputs = log().sealedSegments().slice(0, 2);
    await partition.deleteRecords(6);
    await expect(merge(inputs)).rejects.toThrow(SegmentGoneError);
    expect(await offsets()).toEqual(range(6, 20));
  });

  test('a swap that failed before it began changes nothing, one after takes the log offline', async () => {
    const inputs = log().sealedSegments().slice(0, 2);
    const fail = (): never => {
      throw new Error('made by a test');
    };
    await expect(log().replaceSegments(inputs, () => Promise.resolve().then(fail))).rejects.toThrow(
      'made by',
    );
    expect(await offsets()).toEqual(range(0, 20));
    const halfWay = log().replaceSegments(inputs, (begin) => begin().then(fail));
    await expect(halfWay).rejects.toThrow('made by');
    expect(partition.state).toBe('offline');
  });

  test('a smaller segment.bytes applies from the next append on', async () => {
    await storage.topics.alterConfig('t', [
      { key: 'segment.bytes', value: '65536' },
      { key: 'max.message.bytes', value: '4096' },
    ]);
    const before = partition.segmentCount;
    await append(6);
    const grown = partition.segmentCount;
    await append(6);
    expect(partition.segmentCount).toBe(grown);
    await storage.topics.alterConfig('t', [{ key: 'segment.bytes', value: '4096' }]);
    await append(1);
    expect(partition.segmentCount).toBe(grown + 1);
    expect(grown).toBeLessThanOrEqual(before + 2);
    expect(await offsets()).toEqual(range(0, partition.endOffset));
  });

  test('an empty segment makes room for a batch that is larger than it was made for', async () => {
    const other = await createTopic(storage, config, 'u');
    await other.log?.prepare(1);
    await storage.topics.alterConfig('u', [
      { key: 'segment.bytes', value: '1000000' },
      { key: 'max.message.bytes', value: '900000' },
    ]);
    const bytes = makeBatch({ valueBytes: 500_000 });
    await other.append(chunksOf(bytes), -1);
    expect((await readAll(other, 0, 1_000_000))[0]?.value).toHaveLength(500_000);
  });
});
