import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { crc32c, type ByteChunks } from '@millrace/protocol';
import type { Partition } from '../../../broker/src/topics/partition.js';
import {
  chunksOf,
  inPieces,
  makeBatch,
  readAll,
  recordsIn,
  rejection,
  T0,
  drain,
} from '../../support/batches.js';
import { FaultyPersistence, systemError } from '../../support/faulty-persistence.js';
import { createTopic, openTestStorage, persistKinds } from '../../support/storage.js';
import type { PersistKind, TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

/** A batch with some of its bytes changed, its checksum set right again unless it is the matter. */
function changed(change: (batch: Buffer) => void, { keepCrc = false, records = 3 } = {}): Buffer {
  const batch = makeBatch({ records });
  change(batch);
  if (!keepCrc) batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

describe.each(persistKinds)('a partition (%s)', (kind: PersistKind) => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;
  let faults: FaultyPersistence;
  let partition: Partition;

  beforeAll(async () => {
    dir = await makeTempDir();
    storage = await openTestStorage(dir.path, {
      kind,
      wrap: (inner) => (faults = new FaultyPersistence(inner)),
      config: { maxRecordsPerBatch: 1000 },
    });
    partition = await createTopic(storage, {
      'segment.bytes': '16384',
      'max.message.bytes': '8192',
      'message.timestamp.after.max.ms': '1000',
    });
    await partition.append(chunksOf(makeBatch({ records: 4 })), -1);
  });

  afterAll(async () => {
    await storage.close();
    await dir.remove();
  });

  const producer = { producerId: 1, producerEpoch: 0 };
  test.each<[string, string, Buffer]>([
    ['a wrong checksum', 'CORRUPT_MESSAGE', changed((b) => b.writeUInt8(1, 70), { keepCrc: true })],
    ['another magic', 'UNSUPPORTED_FOR_MESSAGE_FORMAT', changed((b) => b.writeInt8(1, 16))],
    [
      'a length beyond the entry',
      'CORRUPT_MESSAGE',
      changed((b) => b.writeInt32BE(9000 - 1000, 8)),
    ],
    ['a length within its header', 'CORRUPT_MESSAGE', changed((b) => b.writeInt32BE(20, 8))],
    ['a negative length', 'CORRUPT_MESSAGE', changed((b) => b.writeInt32BE(-1, 8))],
    ['a part of a batch', 'CORRUPT_MESSAGE', makeBatch().subarray(0, 60)],
    ['nothing', 'CORRUPT_MESSAGE', Buffer.alloc(0)],
    ['a count of none', 'INVALID_RECORD', changed((b) => b.writeInt32BE(0, 57))],
    [
      'a count that is not its last offset delta',
      'INVALID_RECORD',
      changed((b) => b.writeInt32BE(9, 23)),
    ],
    ['too many records', 'MESSAGE_TOO_LARGE', makeBatch({ records: 1001, valueBytes: 0 })],
    ['a control batch', 'INVALID_RECORD', changed((b) => b.writeInt16BE(0x20, 21))],
    ['an unknown codec', 'UNSUPPORTED_COMPRESSION_TYPE', changed((b) => b.writeInt16BE(7, 21))],
    ['two batches', 'INVALID_RECORD', Buffer.concat([makeBatch(), makeBatch()])],
    ['bytes behind the batch', 'INVALID_RECORD', Buffer.concat([makeBatch(), Buffer.alloc(3)])],
    ['more bytes than allowed', 'MESSAGE_TOO_LARGE', makeBatch({ valueBytes: 8192 })],
    ['a timestamp in the future', 'INVALID_TIMESTAMP', makeBatch({ timestampMs: T0 + 1001 })],
    ['a gap in its sequence', 'UNKNOWN_PRODUCER_ID', makeBatch({ ...producer, baseSequence: 5 })],
  ])('refuses %s, and is as it was', async (_, errorName, bytes) => {
    const before = { end: partition.endOffset, sizeBytes: partition.sizeBytes };
    for (const acks of [0, 1, -1] as const) {
      const error = await rejection(partition.append(inPieces(bytes, 50), acks));
      expect(error.errorName).toBe(errorName);
    }
    expect({ end: partition.endOffset, sizeBytes: partition.sizeBytes }).toEqual(before);
    expect(await readAll(partition)).toHaveLength(4);
    expect(partition.state).toBe('online');
  });

  test('a full disk refuses an append, and no more than that', async () => {
    faults.appendFaults.push(systemError('ENOSPC'));
    const error = await rejection(partition.append(chunksOf(makeBatch()), -1));
    expect(error).toMatchObject({ errorName: 'DISK_FULL', retriable: true });
    expect(partition.state).toBe('online');
    expect(partition.endOffset).toBe(4);
    const next = await partition.append(chunksOf(makeBatch({ tag: 'space again' })), -1);
    expect(next).toEqual({ baseOffset: 4, logAppendTimeMs: -1, logStartOffset: 0 });
    expect((await readAll(partition)).map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4]);
  });

  test('so does one amid a roll', async () => {
    while (partition.sizeBytes < 15_000) {
      await partition.append(chunksOf(makeBatch({ valueBytes: 4000 })), 1);
    }
    const end = partition.endOffset;
    faults.appendFaults.push(systemError('ENOSPC'));
    const batch = (): ByteChunks => chunksOf(makeBatch({ valueBytes: 7000 }));
    expect((await rejection(partition.append(batch(), 1))).errorName).toBe('DISK_FULL');
    expect((await partition.append(batch(), -1)).baseOffset).toBe(end);
    expect(await readAll(partition)).toHaveLength(end + 1);
  });

  test('any other failure of an append takes it offline, and what is there is still read', async () => {
    const other = await createTopic(storage, {}, `other-${kind}`);
    await other.append(chunksOf(makeBatch()), -1);
    faults.appendFaults.push(systemError('EIO'));
    expect((await rejection(other.append(chunksOf(makeBatch()), 1))).errorName).toBe(
      'STORAGE_ERROR',
    );
    expect(other.state).toBe('offline');
    expect((await rejection(other.append(chunksOf(makeBatch()), 1))).errorName).toBe(
      'PARTITION_OFFLINE',
    );
    expect(await readAll(other)).toHaveLength(1);
  });
});

describe('appends that come at once', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let storage: TestStorage;
  beforeAll(async () => {
    dir = await makeTempDir();
    storage = await openTestStorage(dir.path, { config: { offsetCeilingBlock: 10 } });
  });
  afterAll(async () => {
    await storage.close();
    await dir.remove();
  });

  test('take effect in the order of the calls, however often the ceiling must be raised', async () => {
    const partition = await createTopic(storage, { 'segment.bytes': '4096' });
    const work = Array.from({ length: 300 }, (_, i) =>
      partition.append(chunksOf(makeBatch({ tag: `${i}` })), i % 3 === 0 ? -1 : 1),
    );
    const results = await Promise.all(work);
    expect(results.map(({ baseOffset }) => baseOffset)).toEqual([...results.keys()]);
    const values = (await readAll(partition)).map(({ value }) => Number(value.replace(/#.*/, '')));
    expect(values).toEqual([...results.keys()]);
  });

  test('a refused one in the middle moves nobody', async () => {
    const partition = await createTopic(storage, {}, 'refusing');
    const bad = changed((batch) => batch.writeUInt8(1, 70), { keepCrc: true });
    const work = [makeBatch(), bad, makeBatch()].map((batch) =>
      partition.append(chunksOf(batch), 1),
    );
    const [first, second, third] = await Promise.allSettled(work);
    expect([first?.status, second?.status, third?.status]).toEqual([
      ...['fulfilled', 'rejected', 'fulfilled'],
    ]);
    expect(partition.endOffset).toBe(2);
  });

  test('stored bytes are those that were sent, but for base offset and leader epoch', async () => {
    const partition = await createTopic(storage, {}, 'bytes');
    const sent = makeBatch({ records: 7, producerId: 9, producerEpoch: 2, baseSequence: 0 });
    await partition.append(chunksOf(makeBatch({ records: 5 })), 1);
    await partition.append(inPieces(Buffer.from(sent), 3), 1);
    const region = await partition.read(5, 1, true);
    if (region === undefined) throw new Error('nothing there');
    const stored = drain(region);
    const expected = Buffer.from(sent);
    expected.writeBigInt64BE(5n, 0);
    expected.writeInt32BE(0, 12);
    expect(stored.equals(expected)).toBe(true);
    expect(recordsIn(stored)).toHaveLength(7);
  });

  test('what waits for nothing is there at once: appends with acks=1, reads whose place is known', async () => {
    const partition = await createTopic(storage, {}, 'at-once');
    // The first one makes the segment.
    expect(partition.appendAtOnce(chunksOf(makeBatch()), 1)).toBeInstanceOf(Promise);
    await partition.append(chunksOf(makeBatch()), 1);
    expect(partition.appendAtOnce(chunksOf(makeBatch()), 1)).toMatchObject({ baseOffset: 2 });
    for (const offset of [0, 3]) {
      const region = partition.readAtOnce(offset, 1 << 20, true);
      if (region instanceof Promise) throw new Error(`offset ${offset} was waited for`);
      region?.release();
    }
    const synced = partition.appendAtOnce(chunksOf(makeBatch()), -1);
    expect(synced).toBeInstanceOf(Promise);
    expect(await synced).toMatchObject({ baseOffset: 3 });
  });

  test('listeners hear of every append, and stop when they ask to', async () => {
    const partition = await createTopic(storage, {}, 'heard');
    let heard = 0;
    const stop = partition.onVisible(() => (heard += 1));
    await partition.append(chunksOf(makeBatch()), 1);
    await partition.append(chunksOf(makeBatch()), 1);
    expect(heard).toBeGreaterThanOrEqual(2);
    stop();
    const before = heard;
    await partition.append(chunksOf(makeBatch()), -1);
    expect(heard).toBe(before);
  });

  test('a time is found inside of a batch, also behind one whose header promises too much', async () => {
    const partition = await createTopic(storage, {}, 'times');
    const lying = changed((batch) => batch.writeBigInt64BE(BigInt(T0 + 10_000), 35));
    await partition.append(chunksOf(lying), 1);
    await partition.append(chunksOf(makeBatch({ records: 5, timestampMs: T0 + 100 })), 1);
    expect(await partition.offsetForTimestamp(T0 + 102)).toEqual({
      offset: 5,
      timestampMs: T0 + 102,
    });
    expect(await partition.offsetForTimestamp(T0 + 1)).toEqual({ offset: 1, timestampMs: T0 + 1 });
    expect(await partition.offsetForTimestamp(T0 + 105)).toBeUndefined();
    expect(await partition.offsetForTimestamp(0)).toEqual({ offset: 0, timestampMs: T0 });
  });
});
