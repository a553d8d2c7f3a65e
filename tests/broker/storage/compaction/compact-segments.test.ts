import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { compactSegments } from '../../../../broker/src/storage/compaction/compact-segments.js';
import { OffsetIndex } from '../../../../broker/src/storage/offset-index.js';
import { cleanedIndexName } from '../../../../broker/src/storage/compaction/manifest.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { asText, records, SegmentFiles } from './segment-files.js';
import type { KeyedBatch } from './segment-files.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let log: SegmentFiles;

beforeEach(async () => {
  dir = await makeTempDir();
  log = new SegmentFiles(dir.path);
});
afterEach(() => dir.remove());

describe('a pass over segments', () => {
  test('leaves the last record of each key, at its offset, in order', async () => {
    await log.add({ records: records('a=1 b=1') }, { records: records('a=2 c=1') });
    await log.add({ records: records('b=2 d=1') }, { records: records('c=2') });
    const result = await log.compact();
    expect(await log.text()).toBe('2:a=2 4:b=2 5:d=1 6:c=2');
    expect(result).toMatchObject({ dirtyFrom: 7, recordsRead: 7, recordsKept: 4, keys: 4 });
    expect(log.inputs).toHaveLength(1);
    expect(result.bytesAfter).toBe(log.inputs[0]?.sizeBytes);
  });

  test('leaves batches byte for byte that nothing is taken from', async () => {
    const [, untouched] = await log.add(
      { records: records('a=1 b=1'), compression: 'zstd' },
      { records: records('c=1 d=1 e=1'), compression: 'gzip' },
      { records: records('a=2 x=1'), compression: 'lz4' },
    );
    await log.compact();
    const [first, second] = await log.batches();
    expect(first?.recordCount).toBe(1);
    expect(first?.header.attributes).toBe(4);
    expect(second?.bytes).toEqual(untouched);
    expect(await log.text()).toBe('1:b=1 2:c=1 3:d=1 4:e=1 5:a=2 6:x=1');
  });

  test('writes nothing where there is nothing to take out', async () => {
    await log.add({ records: records('a=1 b=1') });
    const before = await readFile(log.inputs[0]?.path ?? '');
    const { groups, bytesAfter } = await log.compact();
    expect(groups).toEqual([]);
    expect(bytesAfter).toBe(before.length);
    expect(await readdir(dir.path)).toHaveLength(1);
  });

  test('begins to write in the middle of a segment, with what was before', async () => {
    await log.add({ records: records('a=1') }, { records: records('b=1') });
    await log.add({ records: records('b=2') });
    await log.compact({ segmentBytes: 1 });
    expect(log.inputs.map(({ baseOffset }) => baseOffset)).toEqual([0, 2]);
    expect(await log.text()).toBe('0:a=1 2:b=2');
  });

  test('keeps a tombstone until the horizon has passed it, and what it deleted never', async () => {
    await log.add({ records: records('a=1 b=1 a') });
    const first = await log.compact({ tombstonesGoBefore: 0 });
    expect(await log.text()).toBe('1:b=1 2:a');
    expect(first.firstTombstone).toBe(2);
    const second = await log.compact({ dirtyFrom: 3, tombstonesGoBefore: 3 });
    expect(await log.text()).toBe('1:b=1');
    expect(second.firstTombstone).toBe(-1);
  });

  test('keeps records without a key, and says how many', async () => {
    await log.add({ records: records('=1 a=1 =2 a=2') });
    expect(await log.compact()).toMatchObject({ keylessRecords: 2 });
    expect(await log.text()).toBe('0:=1 2:=2 3:a=2');
  });

  test('drops what is below the start of the log, unread', async () => {
    await log.add({ records: records('a=1 b=1') }, { records: records('c=1 d=1 a=2') });
    await log.compact({ startOffset: 3 });
    expect(await log.text()).toBe('3:d=1 4:a=2');
  });

  test('may leave a segment without any batch, and merges it the next time', async () => {
    await log.add({ records: records('a=1 a=2') });
    await log.add({ records: records('b=1 a=3') });
    await log.compact({ segmentBytes: 1 });
    expect(log.inputs.map(({ sizeBytes }) => sizeBytes > 0)).toEqual([false, true]);
    expect(await log.text()).toBe('2:b=1 3:a=3');
    await log.compact({ dirtyFrom: 4 });
    expect(log.inputs.map(({ baseOffset }) => baseOffset)).toEqual([0]);
    expect(await log.text()).toBe('2:b=1 3:a=3');
  });

  test('merges neighbours as long as the result fits a segment', async () => {
    for (let i = 0; i < 6; i += 1) await log.add({ records: records(`k${i}=${'x'.repeat(100)}`) });
    const one = log.inputs[0]?.sizeBytes ?? 0;
    await log.compact({ segmentBytes: 2 * one + 10 });
    expect(log.inputs.map(({ baseOffset }) => baseOffset)).toEqual([0, 2, 4]);
  });

  test('does not merge beyond what 32 bits can tell', async () => {
    await log.add({ records: records('a=1') });
    log.end = 2 ** 32 - 2;
    await log.add({ records: records('b=1') });
    await log.add({ records: records('c=1') });
    await log.compact();
    expect(log.inputs.map(({ baseOffset }) => baseOffset)).toEqual([0, 2 ** 32 - 1]);
  });

  test('writes an index that fits the cleaned file', async () => {
    const many = Array.from({ length: 50 }, (_, i) => ({ records: records(`k${i}=${i} x=${i}`) }));
    await log.add(...many);
    await log.compact({ indexIntervalBytes: 1024 });
    const size = log.inputs[0]?.sizeBytes ?? 0;
    const index = OffsetIndex.parse(0, await readFile(join(dir.path, cleanedIndexName(0))), size);
    expect(index.asStored).toBe(true);
    expect(index.count).toBeGreaterThan(2);
    let position = 0;
    const starts = new Map<number, number>();
    for (const { header } of await log.batches()) {
      starts.set(header.baseOffset, position);
      position += header.sizeBytes;
    }
    const last = index.last;
    expect(starts.get(last?.offset ?? -1)).toBe(last?.position);
  });

  test('reads batches that are larger than its buffer', async () => {
    const big = 'v'.repeat(3 << 20);
    await log.add({ records: records('a=1 b=1') }, { records: [{ key: 'c', value: big }] });
    await log.add({ records: [{ key: 'c', value: big }] }, { records: records('a=2') });
    await log.compact({ segmentBytes: 16 << 20 });
    expect((await log.stored()).map(({ offset }) => offset)).toEqual([1, 3, 4]);
  });
});

describe('a map that is too small', () => {
  test('ends the pass where it is full; the next one goes on there', async () => {
    for (let round = 0; round < 8; round += 1) {
      const batch = Array.from({ length: 10 }, (_, i) => `k${(round * 5 + i) % 40}=${round}`);
      await log.add({ records: records(batch.join(' ')) });
    }
    const last = new Map((await log.stored()).map((record) => [record.key, asText(record)]));
    let dirtyFrom = 0;
    let passes = 0;
    while (dirtyFrom < log.end) {
      const result = await log.compact({ dirtyFrom, mapBytes: 24 * 20, segmentBytes: 1500 });
      expect(result.dirtyFrom).toBeGreaterThan(dirtyFrom);
      ({ dirtyFrom } = result);
      passes += 1;
    }
    expect(passes).toBeGreaterThan(2);
    expect((await log.stored()).map(asText).sort()).toEqual([...last.values()].sort());
  });
});

describe('batches of idempotent producers', () => {
  const of = (producerId: number, baseSequence: number, text: string): KeyedBatch => ({
    ...{ producerId, baseSequence, records: records(text), compression: 'gzip' },
  });

  test('stay, emptied, when they are the last of their producer or remembered', async () => {
    await log.add(of(1, 0, 'a=1'), of(1, 1, 'a=2'), of(1, 2, 'a=3'), of(2, 0, 'a=4 a=5'));
    await log.add({ records: records('a=6') });
    await log.compact({
      producers: Float64Array.of(1, 2),
      rememberedBatches: Float64Array.of(1, 2, 3),
    });
    const left = (await log.batches()).map(({ header }) => [
      header.producerId,
      header.baseSequence,
      header.lastOffsetDelta,
      header.recordCount,
    ]);
    expect(left).toEqual([
      [1, 1, 0, 0],
      [1, 2, 0, 0],
      [2, 0, 1, 0],
      [-1, -1, 0, 1],
    ]);
    expect(await log.text()).toBe('5:a=6');
  });

  test('go when their producer is forgotten, or has later ones', async () => {
    await log.add(of(1, 0, 'a=1'), of(2, 0, 'a=2'));
    await log.add(of(1, 1, 'a=3'));
    await log.compact({ producers: Float64Array.of(1), segmentBytes: 1 });
    expect((await log.batches()).map(({ baseOffset }) => baseOffset)).toEqual([2]);
  });

  test('stay while the dirty part has nothing of their producer', async () => {
    await log.add(of(1, 0, 'a=1'), { records: records('a=2') });
    const producers = Float64Array.of(1);
    const first = await log.compact({ producers });
    await log.add({ records: records('b=1') });
    const second = await log.compact({ producers, dirtyFrom: first.dirtyFrom });
    expect((await log.batches()).map(({ recordCount }) => recordCount)).toEqual([0, 1, 1]);
    await log.add(of(1, 1, 'b=2'));
    await log.compact({ producers, dirtyFrom: second.dirtyFrom });
    expect(await log.text()).toBe('1:a=2 3:b=2');
    expect(await log.batches()).toHaveLength(2);
  });
});

describe('what cannot be compacted', () => {
  test('is named with file and position, and leaves no file', async () => {
    const [first] = await log.add({ records: records('a=1') }, { records: records('a=2') });
    await log.add({ records: records('a=3') });
    const path = log.inputs[0]?.path ?? '';
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 2) ^ 1, bytes.length - 2);
    await writeFile(path, bytes);
    await expect(log.compact()).rejects.toMatchObject({
      errorName: 'CORRUPT_LOG',
      message: expect.stringContaining(
        `${path} cannot be compacted, it is damaged at byte ${first?.length}`,
      ),
    });
    expect(await readdir(dir.path)).toHaveLength(2);
  });

  test('includes a segment that is shorter than it was', async () => {
    await log.add({ records: records('a=1') });
    await truncate(log.inputs[0]?.path ?? '', 65);
    await expect(log.compact()).rejects.toMatchObject({ errorName: 'CORRUPT_LOG' });
  });
});

test('stops when it is told to, and leaves no incomplete file', async () => {
  for (let i = 0; i < 20; i += 1) await log.add({ records: records(`a=${i} b${i}=1`) });
  const abort = new AbortController();
  let groups = 0;
  const job = log.job({ segmentBytes: 300 });
  const running = compactSegments(job, {
    signal: abort.signal,
    onGroup: () => {
      groups += 1;
      abort.abort(new Error('enough'));
      return Promise.resolve();
    },
  });
  await expect(running).rejects.toThrow('enough');
  expect(groups).toBe(1);
  const left = (await readdir(dir.path)).filter((name) => name.endsWith('.log.cleaned'));
  expect(left).toHaveLength(1);
});
