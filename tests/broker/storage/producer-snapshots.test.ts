import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CheckpointFile } from '../../../broker/src/storage/checkpoint.js';
import type { Checkpoint } from '../../../broker/src/storage/checkpoint.js';
import { EpochHistory } from '../../../broker/src/storage/epoch-history.js';
import { encodeCompactJsonFile, readJsonFile } from '../../../broker/src/storage/json-file.js';
import { rebuildProducers } from '../../../broker/src/storage/producer-recovery.js';
import { Segment } from '../../../broker/src/storage/segment.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch, rejection } from '../../support/batches.js';
import type { BatchSpec } from '../../support/batches.js';
import { recordSyncs } from '../../support/recorded-syncs.js';
import {
  crashCopy,
  createTopic,
  logDirectory,
  openTestStorage,
  partitionOf,
} from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

/** Each append that follows a second later takes a checkpoint. */
const config = { checkpointIntervalMs: 1_000 };

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let storage: TestStorage;
let partition: Partition;

beforeEach(async () => {
  dir = await makeTempDir();
  storage = await openTestStorage(dir.path, { config });
  partition = await createTopic(storage);
});
afterEach(async () => {
  await storage.close();
  await dir.remove();
});

const inLog = (name: string): string => join(logDirectory(dir.path, partition), name);
const checkpoint = async (): Promise<Checkpoint | undefined> =>
  (await CheckpointFile.load(inLog('checkpoint'))).current;
/** A file that was replaced is another one. */
const snapshotFile = async (): Promise<number> => (await stat(inLog('producers.json'))).ino;
const snapshotOffset = async (): Promise<unknown> =>
  ((await readJsonFile(inLog('producers.json'))) as { offset: number }).offset;

/** Appends batches and resolves when a checkpoint covers them. */
async function appendThenCheckpoint(...specs: BatchSpec[]): Promise<void> {
  storage.clock.advance(1_000);
  // The last sync takes the checkpoint, for the clock stands still then.
  const appends = specs.map((spec, i) =>
    partition.append(chunksOf(makeBatch(spec)), i === specs.length - 1 ? -1 : 1),
  );
  await Promise.all(appends);
  while ((await checkpoint())?.endOffset !== partition.endOffset) await setImmediate();
}

const of = (producerId: number, baseSequence = 0): BatchSpec => ({
  ...{ producerId, producerEpoch: 0, baseSequence },
});

describe('a snapshot of producers', () => {
  test('is not written again while none of them sends, and yet holds to the end', async () => {
    await appendThenCheckpoint(of(5));
    const written = await snapshotFile();
    for (let i = 0; i < 3; i += 1) await appendThenCheckpoint({}, {});
    expect(await snapshotFile()).toBe(written);
    expect(await checkpoint()).toMatchObject({
      ...{ endOffset: 7, snapshotOffset: 1, snapshotHoldsTo: 7 },
    });
    await appendThenCheckpoint(of(5, 1));
    expect(await snapshotFile()).not.toBe(written);
    expect(await checkpoint()).toMatchObject({ snapshotOffset: 8, snapshotHoldsTo: 8 });
    await appendThenCheckpoint({});
    // After a restart too.
    await storage.close();
    const before = await snapshotFile();
    storage = await openTestStorage(dir.path, { clock: storage.clock, config });
    partition = partitionOf(storage);
    await appendThenCheckpoint({});
    expect(await snapshotFile()).toBe(before);
    expect(await checkpoint()).toMatchObject({ endOffset: 10, snapshotHoldsTo: 10 });
    expect((await partition.append(chunksOf(makeBatch(of(5, 1))), 1)).baseOffset).toBe(7);
  });

  test('of many is written more seldom; a crash in between loses nothing, a stop writes it', async () => {
    const many = Array.from({ length: 1_500 }, (_, id) => of(id));
    await appendThenCheckpoint(...many);
    expect(await snapshotOffset()).toBe(1_500);
    await appendThenCheckpoint(of(7, 1));
    expect(await snapshotOffset()).toBe(1_500);
    expect(await checkpoint()).toMatchObject({ endOffset: 1_501, snapshotHoldsTo: 1_500 });
    const copy = await crashCopy(dir.path);
    await appendThenCheckpoint(of(8, 1));
    expect(await snapshotOffset()).toBe(1_502);
    await appendThenCheckpoint(of(9, 1));
    await storage.close();
    expect(await snapshotOffset()).toBe(1_503);
    await dir.remove();
    dir = copy;
    storage = await openTestStorage(dir.path, { config });
    partition = partitionOf(storage);
    expect((await partition.append(chunksOf(makeBatch(of(7, 1))), 1)).baseOffset).toBe(1_500);
    const gap = await rejection(partition.append(chunksOf(makeBatch(of(8, 2))), 1));
    expect(gap.errorName).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  });

  test('is on the device before it gets its name', async () => {
    const syncs = await recordSyncs(() => appendThenCheckpoint(of(1)));
    expect(syncs).toContainEqual({ path: inLog('producers.json.tmp'), call: 'datasync' });
    expect(await readFile(inLog('producers.json'), 'utf8')).not.toContain('\n ');
  });
});

test.each([
  ['that is the one meant is believed up to where it holds', 3, 4, [1, 9]],
  ['of another offset is not', 2, 4, [1, 7, 9]],
  ['is not believed beyond the end of the log', 3, 6, [1, 7, 9]],
])('a snapshot %s', async (_, meant, holdsTo, known) => {
  // Three batches of producer 1, one of 7, one of 9.
  const batches = [of(1), of(1, 1), of(1, 2), of(7), of(9)].map((spec, i) => {
    const batch = makeBatch(spec);
    batch.writeBigInt64BE(BigInt(i), 0);
    return batch;
  });
  const bytes = Buffer.concat(batches);
  const path = join(dir.path, 'log');
  const segment = new Segment(dir.path, 0, bytes.length, storage.environment, 100);
  await writeFile(segment.logPath, bytes);
  const file = await CheckpointFile.load(path);
  await file.update({ endOffset: 5, snapshotOffset: meant, snapshotHoldsTo: holdsTo });
  const producers = [[1, 0, storage.clock.nowMs, [[2, 2, 2]]]];
  await writeFile(
    join(dir.path, 'producers.json'),
    encodeCompactJsonFile({ offset: 3, leaderEpoch: 0, producers }),
  );
  const found = { epochs: await EpochHistory.load(dir.path), checkpoint: file };
  const { states } = await rebuildProducers(
    ...([dir.path, [segment], 5, found, storage.environment] as const),
  );
  expect([1, 7, 9].filter((id) => states.knows(id))).toEqual(known);
});

test('a producer id that was never given out is refused, one of an old log is not', async () => {
  await partition.append(chunksOf(makeBatch(of(50))), -1);
  await storage.close();
  storage = await openTestStorage(dir.path, { isIssuedProducerId: (id) => id < 10 });
  partition = partitionOf(storage);
  const made = await rejection(partition.append(chunksOf(makeBatch(of(10))), 1));
  expect(made.errorName).toBe('UNKNOWN_PRODUCER_ID');
  expect((await partition.append(chunksOf(makeBatch(of(9))), 1)).baseOffset).toBe(1);
  expect((await partition.append(chunksOf(makeBatch(of(50, 1))), 1)).baseOffset).toBe(2);
});
