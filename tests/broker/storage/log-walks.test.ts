import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { crc32c, RecordBatchBuilder } from '@millrace/protocol';
import { EpochHistory } from '../../../broker/src/storage/epoch-history.js';
import { findTimestamp } from '../../../broker/src/storage/log-reader.js';
import { Segment } from '../../../broker/src/storage/segment.js';
import { chunksOf, makeBatch, rejection, T0 } from '../../support/batches.js';
import { ColdFiles } from '../../support/cold-files.js';
import { createTopic, openTestStorage } from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const MIB = 1024 * 1024;

/** Turns of the event loop that bystanders had since the start. */
class Bystander {
  turns = 0;
  #watching = true;

  constructor() {
    void this.#watch();
  }

  stop(): void {
    this.#watching = false;
  }

  async #watch(): Promise<void> {
    while (this.#watching) {
      await setImmediate();
      this.turns += 1;
    }
  }
}

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let storage: TestStorage;
let files: ColdFiles;
beforeEach(async () => {
  dir = await makeTempDir();
  storage = await openTestStorage(join(dir.path, 'data'));
  files = new ColdFiles();
});
afterEach(async () => {
  await storage.close();
  await dir.remove();
});

/** A sealed segment of that many copies of `batch`, at rising offsets; its pages are cold. */
async function segmentOf(batch: Buffer, count: number, recordsPerBatch = 1): Promise<Segment> {
  const bytes = Buffer.alloc(batch.length * count);
  for (let i = 0; i < count; i += 1) {
    batch.copy(bytes, i * batch.length);
    bytes.writeBigInt64BE(BigInt(i * recordsPerBatch), i * batch.length);
  }
  const segment = new Segment(
    ...([dir.path, 0, bytes.length, { ...storage.environment, files }, 16_384] as const),
  );
  await writeFile(segment.logPath, bytes);
  return segment;
}

describe('a long walk through a segment', () => {
  test('gives everybody else a turn after every megabyte, and reads nothing cold', async () => {
    const batch = makeBatch({ valueBytes: 100 });
    const segment = await segmentOf(batch, Math.ceil((5 * MIB) / batch.length));
    const bystander = new Bystander();
    const bytesInTurn = new Map<number, number>();
    const end = await segment.forEachBatch(0, segment.sizeBytes, ({ header }) => {
      const { turns } = bystander;
      bytesInTurn.set(turns, (bytesInTurn.get(turns) ?? 0) + header.sizeBytes);
    });
    bystander.stop();
    expect(end).toBe(segment.sizeBytes);
    expect(Math.max(...bytesInTurn.values())).toBeLessThan(1.1 * MIB);
    expect(files.coldBytes).toBe(0);
    expect(files.warmUps).toBeGreaterThan(1);
  });

  test('also finds and indexes what lies far behind', async () => {
    const batch = makeBatch({ valueBytes: 100 });
    const count = Math.ceil((3 * MIB) / batch.length);
    const segment = await segmentOf(batch, count);
    // No index file: it is rebuilt from the log.
    expect(await segment.locate(count - 2, segment.sizeBytes)).toEqual({
      position: (count - 2) * batch.length,
      firstOffset: count - 2,
    });
    expect(await segment.locate(count, segment.sizeBytes)).toBeUndefined();
    expect(files.coldBytes).toBe(0);
  });

  test('of a few batches is over within one turn', async () => {
    const batch = makeBatch({ valueBytes: 100 });
    const segment = await segmentOf(batch, 90);
    const bystander = new Bystander();
    const turns = new Set<number>();
    await segment.forEachBatch(0, segment.sizeBytes, () => turns.add(bystander.turns));
    bystander.stop();
    expect(turns.size).toBe(1);
  });
});

describe('a search for a time', () => {
  const epochs = (): Promise<EpochHistory> => EpochHistory.load(dir.path);

  function compressed(values: number, valueBytes: number): Buffer {
    const builder = new RecordBatchBuilder({ compression: 'gzip' });
    for (let i = 0; i < values; i += 1) {
      builder.append(null, Buffer.alloc(valueBytes), null, T0 + i);
    }
    return Buffer.from(builder.build());
  }

  test('reads no cold page of the batch that it looks into', async () => {
    const segment = await segmentOf(makeBatch({ records: 30, valueBytes: 100_000 }), 1, 30);
    const view = {
      segments: [segment],
      end: { segment, position: segment.sizeBytes, offset: 30 },
      ...{ epochs: await epochs(), startOffset: 0, cleanedTo: 0 },
    };
    expect(await findTimestamp(view, T0 + 29)).toEqual({ offset: 29, timestampMs: T0 + 29 });
    expect(files.coldBytes).toBe(0);
  });

  test('unpacks each batch in a turn to itself', async () => {
    const partition = await createTopic(storage);
    // Two whose headers promise more than is in them, and the one with the record.
    const lying = compressed(3, 1000);
    lying.writeBigInt64BE(BigInt(T0 + 10_000), 35);
    lying.writeUInt32BE(crc32c(lying.subarray(21)), 17);
    for (const batch of [lying, lying, makeBatch({ timestampMs: T0 + 100 })]) {
      await partition.append(chunksOf(Buffer.from(batch)), 1);
    }
    const bystander = new Bystander();
    expect(await partition.offsetForTimestamp(T0 + 50)).toEqual({
      offset: 6,
      timestampMs: T0 + 100,
    });
    bystander.stop();
    expect(bystander.turns).toBeGreaterThanOrEqual(3);
  });

  test('refuses to unpack a batch that is a bomb, and says where it is', async () => {
    const partition = await createTopic(storage);
    const header = compressed(1, 10).subarray(0, 61);
    const records = gzipSync(Buffer.alloc(65 * MIB));
    const bomb = Buffer.concat([header, records]);
    bomb.writeInt32BE(bomb.length - 12, 8);
    bomb.writeUInt32BE(crc32c(bomb.subarray(21)), 17);
    await partition.append(chunksOf(makeBatch({ timestampMs: T0 - 10 })), 1);
    await partition.append(chunksOf(bomb), 1);
    const error = await rejection(partition.offsetForTimestamp(T0));
    expect(error.errorName).toBe('MESSAGE_TOO_LARGE');
    expect(error.message).toMatch(/\.log: the records of the batch at byte \d+.*cannot be read/);
    expect(partition.state).toBe('online');
  });

  test('meeting a batch that the disk changed is CORRUPT_LOG', async () => {
    const batch = makeBatch({ records: 3 });
    batch.writeUInt8(batch.readUInt8(70) ^ 1, 70);
    const segment = await segmentOf(batch, 1, 3);
    const view = {
      segments: [segment],
      end: { segment, position: segment.sizeBytes, offset: 3 },
      ...{ epochs: await epochs(), startOffset: 0, cleanedTo: 0 },
    };
    const error = await rejection(findTimestamp(view, T0 + 1));
    expect(error.errorName).toBe('CORRUPT_LOG');
    expect(error.message).toContain(segment.logPath);
  });
});
