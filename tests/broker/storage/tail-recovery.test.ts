import { readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch, readAll, rejection } from '../../support/batches.js';
import {
  crashCopy,
  createTopic,
  logDirectory,
  openTestStorage,
  partitionOf,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const first = '00000000000000000000.log';

/** Decision 9: a crash leaves a tail in any state; recovery keeps the good part of it and no more. */
describe('recovery of an un-synced tail', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;
  let relativePath: string;
  let logPath: string;
  /** The log file as a crash leaves it, with allocated space behind its data. */
  let crashed: Buffer;
  const starts: number[] = [];

  const batches = ['a', 'b', 'c', 'd'].map((tag) => makeBatch({ tag, records: 2, valueBytes: 9 }));
  const dataBytes = batches.reduce((sum, batch) => sum + batch.length, 0);

  beforeEach(async () => {
    dir = await makeTempDir();
    storage = await openTestStorage(dir.path);
    const partition = await createTopic(storage);
    starts.length = 0;
    let at = 0;
    for (const [i, batch] of batches.entries()) {
      starts.push(at);
      at += batch.length;
      // The first is checkpointed; the clock stands still, so no later one is.
      await partition.append(chunksOf(Buffer.from(batch)), i === 0 ? -1 : 1);
      if (i === 0) await checkpointed(logDirectory(dir.path, partition));
    }
    const copy = await crashCopy(dir.path);
    await storage.close();
    await dir.remove();
    dir = copy;
    relativePath = join(relative('/', logDirectory('/', partition)), first);
    logPath = join(dir.path, relativePath);
    crashed = await readFile(logPath);
    storage = await openTestStorage(await emptyPath());
  });

  afterEach(async () => {
    await storage.close();
    await dir.remove();
    await spare.remove();
  });

  let spare: Awaited<ReturnType<typeof makeTempDir>>;
  const emptyPath = async (): Promise<string> => {
    spare = await makeTempDir();
    return spare.path;
  };

  /** Restarts on the log file with that content, as after a crash. */
  const restart = async (content?: Buffer): Promise<Partition> => {
    await storage.close();
    if (content !== undefined) await writeFile(logPath, content);
    storage = await openTestStorage(dir.path);
    return partitionOf(storage);
  };
  const tags = async (partition: Partition): Promise<string> =>
    (await readAll(partition)).map(({ value }) => value.charAt(0)).join('');
  const crashAgain = async (): Promise<Partition> => {
    const copy = await crashCopy(dir.path);
    await storage.close();
    await dir.remove();
    dir = copy;
    logPath = join(dir.path, relativePath);
    storage = await openTestStorage(dir.path);
    return partitionOf(storage);
  };
  const cutFiles = async (): Promise<string[]> =>
    (await readdir(join(logPath, '..'))).filter((name) => name.endsWith('.cut'));

  test('keeps everything that the page cache kept', async () => {
    const partition = await restart();
    expect(await tags(partition)).toBe('aabbccdd');
    expect(await cutFiles()).toEqual([]);
    expect((await stat(logPath)).size).toBe(dataBytes);
  });

  test('wherever the file was cut, whole batches before the cut stay', async () => {
    const copy = await crashCopy(dir.path);
    try {
      for (let length = starts[2] ?? 0; length <= dataBytes; length += 1) {
        await storage.close();
        await dir.remove();
        dir = await crashCopy(copy.path);
        await writeFile(join(dir.path, relativePath), crashed.subarray(0, length));
        storage = await openTestStorage(dir.path);
        const whole = starts.filter((_, i) => (starts[i + 1] ?? dataBytes) <= length).length;
        expect(await tags(partitionOf(storage))).toBe('aabbccdd'.slice(0, whole * 2));
      }
    } finally {
      await copy.remove();
    }
  });

  test('zeros behind the data are no loss and nothing to keep', async () => {
    const partition = await restart(Buffer.concat([crashed, Buffer.alloc(100_000)]));
    expect(await tags(partition)).toBe('aabbccdd');
    expect(await cutFiles()).toEqual([]);
  });

  test('garbage behind the data is cut and kept beside', async () => {
    const garbage = Buffer.alloc(500, 0xa5);
    const content = Buffer.concat([crashed.subarray(0, dataBytes), garbage, Buffer.alloc(4096)]);
    const partition = await restart(content);
    expect(await tags(partition)).toBe('aabbccdd');
    const [kept = ''] = await cutFiles();
    expect(await readFile(join(logPath, '..', kept))).toEqual(garbage);
  });

  test('a flipped bit ends the log before its batch, and nothing behind resurrects', async () => {
    const content = Buffer.from(crashed);
    const at = (starts[2] ?? 0) + 70;
    content.writeUInt8(content.readUInt8(at) ^ 4, at);
    let partition = await restart(content);
    expect(await tags(partition)).toBe('aabb');
    const [kept = ''] = await cutFiles();
    const cut = content.subarray(starts[2], dataBytes);
    const keptBytes = await readFile(join(logPath, '..', kept));
    // Where the data ended is not known to recovery: its last byte is a zero.
    expect(cut.subarray(0, keptBytes.length)).toEqual(keptBytes);
    expect(cut.subarray(keptBytes.length).every((byte) => byte === 0)).toBe(true);

    const { baseOffset } = await partition.append(chunksOf(makeBatch({ tag: 'e' })), -1);
    expect(baseOffset).toBeGreaterThanOrEqual(8);
    expect(await tags(partition)).toBe('aabbe');
    partition = await crashAgain();
    expect(await tags(partition)).toBe('aabbe');
    const { baseOffset: later } = await partition.append(chunksOf(makeBatch({ tag: 'f' })), -1);
    expect(later).toBeGreaterThan(baseOffset);
    partition = await crashAgain();
    expect(await tags(partition)).toBe('aabbef');
  });

  test('an old batch of the right checksum but the wrong offset is not believed', async () => {
    const content = Buffer.from(crashed);
    crashed.copy(content, starts[2], starts[1], starts[2]);
    expect(await tags(await restart(content))).toBe('aabb');
  });

  test('a batch of an epoch that this log never had is not believed', async () => {
    const content = Buffer.from(crashed);
    content.writeInt32BE(9, (starts[3] ?? 0) + 12);
    expect(await tags(await restart(content))).toBe('aabbcc');
  });

  test('a new epoch begins, and a fetch inside of the gap gets the next data', async () => {
    const partition = await restart(crashed.subarray(0, starts[3]));
    expect(partition.leaderEpoch).toBe(1);
    expect(await partition.read(7, 1000, true)).toBeUndefined();
    const { baseOffset } = await partition.append(chunksOf(makeBatch({ tag: 'e' })), 1);
    expect((await readAll(partition, 7))[0]).toMatchObject({ offset: baseOffset });
    expect((await readAll(partition, baseOffset - 1))[0]).toMatchObject({ offset: baseOffset });
    expect((await readAll(partition, 6))[0]).toMatchObject({ offset: baseOffset });
  });

  test('recovering twice, with nothing in between, changes nothing', async () => {
    const end = (await restart(crashed.subarray(0, dataBytes - 1))).endOffset;
    const partition = await crashAgain();
    expect(await tags(partition)).toBe('aabbcc');
    expect(partition.endOffset).toBe(end);
  });

  test('a truncation below the checkpoint is damage: the file named, nothing cut, no appends', async () => {
    await storage.close();
    await truncate(logPath, 40);
    storage = await openTestStorage(dir.path);
    const partition = partitionOf(storage);
    expect(partition.state).toBe('damaged');
    expect((await rejection(partition.append(chunksOf(makeBatch()), 1))).errorName).toBe(
      'CORRUPT_LOG',
    );
    expect((await rejection(partition.read(0, 1000, true))).errorName).toBe('CORRUPT_LOG');
    expect(partition.problem).toMatchObject({ errorName: 'CORRUPT_LOG' });
    expect(partition.problem?.message).toContain(logPath);
    expect((await stat(logPath)).size).toBe(40);
    // What could not be read is looked at again by the next start.
    await storage.close();
    storage = await openTestStorage(dir.path);
    expect(storage.dataDir.cleanStop).toBe(false);
  });
});

/** Resolves when the checkpoint of a synced log has been written, in the background. */
async function checkpointed(directory: string): Promise<void> {
  for (;;) {
    const bytes = await readFile(join(directory, 'checkpoint'));
    const positions = [bytes.readBigInt64BE(24), bytes.readBigInt64BE(512 + 24)];
    if (positions.some((position) => position > 0n)) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
