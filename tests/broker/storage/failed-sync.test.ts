import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch, readAll, rejection } from '../../support/batches.js';
import { FaultyPersistence, systemError } from '../../support/faulty-persistence.js';
import {
  createTopic,
  filesIn,
  logDirectory,
  openTestStorage,
  partitionOf,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

/** Decisions 7, 8 and 10: what a failed sync means for acknowledgements, readers and a restart. */
describe('a sync that fails', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;
  let faults: FaultyPersistence;
  let partition: Partition;

  beforeEach(async () => {
    dir = await makeTempDir();
    storage = await openTestStorage(dir.path, {
      wrap: (inner) => (faults = new FaultyPersistence(inner)),
    });
    partition = await createTopic(storage);
  });

  afterEach(async () => {
    await storage.close();
    await dir.remove();
  });

  const append = (tag: string, acks: 1 | -1): ReturnType<Partition['append']> =>
    partition.append(chunksOf(makeBatch({ tag })), acks);
  const values = async (): Promise<string[]> =>
    (await readAll(partition)).map(({ value }) => value.replace(/#.*/, ''));
  const reopen = async (): Promise<void> => {
    await storage.close();
    storage = await openTestStorage(dir.path);
    partition = partitionOf(storage);
  };

  test('takes the partition offline: no acknowledgement, no append on top, never retried', async () => {
    await append('good', -1);
    faults.syncFaults.push(systemError('EIO'));
    faults.holdSyncs();
    const waiting = [append('a', -1), append('b', -1)];
    await faults.syncHeld();
    const syncsBefore = faults.syncs;
    faults.letSyncsGo();
    for (const wait of waiting) {
      const error = await rejection(wait);
      expect(error.errorName).toBe('PARTITION_OFFLINE');
      expect(error.message).toContain('EIO');
    }
    expect(partition.state).toBe('offline');
    expect((await rejection(append('c', 1))).errorName).toBe('PARTITION_OFFLINE');
    expect(faults.syncs).toBe(syncsBefore);
    expect(await values()).toContain('good');
  });

  test('tells the listeners, so that long polls end', async () => {
    let calls = 0;
    partition.onVisible(() => (calls += 1));
    faults.syncFaults.push(systemError('EIO'));
    await rejection(append('a', -1));
    expect(calls).toBeGreaterThanOrEqual(2);
  });

  test('costs only the tail that was not synced, although its checkpoint is older', async () => {
    await append('checkpointed', -1);
    // The clock stands still, so no checkpoint follows the next ones.
    await append('acknowledged 1', -1);
    await append('acknowledged 2', -1);
    faults.syncFaults.push(systemError('EIO'));
    const lost = append('lost', -1);
    await rejection(lost);
    const seenEnd = partition.endOffset;
    await reopen();
    expect(await values()).toEqual(['checkpointed', 'acknowledged 1', 'acknowledged 2']);
    const { baseOffset } = await append('after', -1);
    expect(baseOffset).toBeGreaterThanOrEqual(seenEnd);
    expect(await values()).toEqual(['checkpointed', 'acknowledged 1', 'acknowledged 2', 'after']);
    await reopen();
    expect(await values()).toEqual(['checkpointed', 'acknowledged 1', 'acknowledged 2', 'after']);
  });

  test('keeps what is cut beside the log', async () => {
    await append('good', -1);
    faults.syncFaults.push(systemError('EIO'));
    await rejection(append('lost', -1));
    const directory = logDirectory(dir.path, partition);
    await reopen();
    expect(await filesIn(directory, '.cut')).toHaveLength(1);
    expect(partition.state).toBe('online');
  });

  test.each(['at once', 'after a restart', 'with a segment since'])(
    'of a log that retention emptied costs its tail only (%s)',
    async (when) => {
      await append('removed', -1);
      await partition.log?.seal();
      if (when === 'with a segment since') await append('appended', 1);
      await partition.deleteRecords(partition.endOffset);
      if (when === 'after a restart') {
        await storage.close();
        storage = await openTestStorage(dir.path, {
          wrap: (inner) => (faults = new FaultyPersistence(inner)),
        });
        partition = partitionOf(storage);
      }
      faults.syncFaults.push(systemError('EIO'));
      await rejection(append('lost', -1));
      const seenEnd = partition.endOffset;
      await reopen();
      expect(partition.problem).toBeUndefined();
      expect((await append('after', -1)).baseOffset).toBeGreaterThanOrEqual(seenEnd);
      const read = await readAll(partition, partition.startOffset);
      expect(read.map(({ value }) => value.replace(/#.*/, ''))).toEqual(['after']);
    },
  );

  test('leaves no clean-stop marker, and other partitions serve on', async () => {
    const other = await createTopic(storage, {}, 'other');
    faults.syncFaults.push(systemError('EIO'));
    await rejection(append('a', -1));
    await other.append(chunksOf(makeBatch({ tag: 'fine' })), -1);
    await storage.close();
    storage = await openTestStorage(dir.path);
    expect(storage.dataDir.cleanStop).toBe(false);
    expect((await readAll(partitionOf(storage, 'other')))[0]?.value).toMatch(/^fine/);
  });

  test('in the background, by flush.ms, is no less final', async () => {
    faults.syncFaults.push(systemError('EIO'));
    await append('a', 1);
    const offline = new Promise<void>((resolve) => {
      partition.onVisible(() => {
        if (partition.state === 'offline') resolve();
      });
    });
    storage.clock.advance(2_000);
    await offline;
    expect((await rejection(append('b', 1))).errorName).toBe('PARTITION_OFFLINE');
  });
});

describe('acknowledgements', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;
  let faults: FaultyPersistence;

  beforeEach(async () => {
    dir = await makeTempDir();
  });

  afterEach(async () => {
    faults.letSyncsGo();
    await storage.close();
    await dir.remove();
  });

  const open = async (config: object): Promise<Partition> => {
    storage = await openTestStorage(dir.path, {
      wrap: (inner) => (faults = new FaultyPersistence(inner)),
      config,
    });
    return createTopic(storage);
  };
  const batch = (): ReturnType<typeof chunksOf> => chunksOf(makeBatch());

  test('acks=1 does not wait for the disk, acks=all does', async () => {
    const partition = await open({});
    faults.holdSyncs();
    await partition.append(batch(), 1);
    let acknowledged = false;
    const all = partition.append(batch(), -1).then((result) => {
      acknowledged = true;
      return result;
    });
    await faults.syncHeld();
    await partition.append(batch(), 1);
    expect(acknowledged).toBe(false);
    faults.letSyncsGo();
    expect((await all).baseOffset).toBe(1);
  });

  test('a sync that began before an append does not acknowledge it', async () => {
    const partition = await open({});
    faults.holdSyncs();
    const first = partition.append(batch(), -1);
    await faults.syncHeld();
    faults.syncFaults.push(undefined, systemError('EIO'));
    const second = partition.append(batch(), -1);
    faults.letSyncsGo();
    await first;
    expect((await rejection(second)).errorName).toBe('PARTITION_OFFLINE');
  });

  test('one sync acknowledges everything that waited for it', async () => {
    const partition = await open({});
    await partition.append(batch(), -1);
    faults.holdSyncs();
    const waiting = [partition.append(batch(), -1)];
    await faults.syncHeld();
    const before = faults.syncs;
    for (let i = 0; i < 50; i += 1) waiting.push(partition.append(batch(), -1));
    faults.letSyncsGo();
    await Promise.all(waiting);
    expect(faults.syncs - before).toBe(1);
  });

  test('with durability pagecache acks=all does not wait', async () => {
    const partition = await open({ durability: 'pagecache' });
    faults.holdSyncs();
    expect((await partition.append(batch(), -1)).baseOffset).toBe(0);
  });

  test('a repeat is answered with the first answer, once that is durable', async () => {
    const partition = await open({});
    faults.holdSyncs();
    const producer = { producerId: 7, producerEpoch: 0, baseSequence: 0, records: 3 };
    const first = partition.append(chunksOf(makeBatch(producer)), -1);
    let answered = false;
    const again = partition.append(chunksOf(makeBatch(producer)), -1).finally(() => {
      answered = true;
    });
    await faults.syncHeld();
    expect(await partition.append(chunksOf(makeBatch(producer)), 1)).toMatchObject({
      baseOffset: 0,
    });
    expect(answered).toBe(false);
    faults.letSyncsGo();
    expect((await first).baseOffset).toBe(0);
    expect((await again).baseOffset).toBe(0);
    expect(partition.endOffset).toBe(3);
  });

  test('visibility durable shows what is synced, and the high watermark only ever rises', async () => {
    const partition = await open({ visibility: 'durable' });
    await partition.append(batch(), -1);
    faults.holdSyncs();
    const second = partition.append(batch(), -1);
    await faults.syncHeld();
    expect(partition.highWatermark).toBe(1);
    expect(await readAll(partition)).toHaveLength(1);
    expect(await partition.read(1, 1000, true)).toBeUndefined();
    await partition.append(batch(), 1); // too late for the sync that waits
    let visible = 0;
    partition.onVisible(() => (visible = partition.highWatermark));
    faults.letSyncsGo();
    await second;
    expect(visible).toBe(2);
    expect(await readAll(partition)).toHaveLength(2);
  });

  test('visibility durable does not reach into segments that are not synced', async () => {
    const partition = await open({
      visibility: 'durable',
      segmentBytes: 4096,
      maxMessageBytes: 4096,
    });
    await partition.append(batch(), -1);
    faults.holdSyncs();
    for (let i = 0; i < 200; i += 1) await partition.append(batch(), 1);
    expect(partition.segmentCount).toBeGreaterThan(2);
    expect(await readAll(partition)).toHaveLength(1);
    faults.letSyncsGo();
    await partition.append(batch(), -1);
    expect(await readAll(partition)).toHaveLength(202);
  });
});
