import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { decodeSlot, SLOT_BYTES } from '../../../broker/src/storage/checkpoint.js';
import type { Slot } from '../../../broker/src/storage/checkpoint.js';
import type { Partition } from '../../../broker/src/topics/partition.js';
import { chunksOf, makeBatch } from '../../support/batches.js';
import { createTopic, logDirectory, openTestStorage } from '../../support/storage.js';
import type { TestStorage } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const LITTLE_BYTES = 100;
const MUCH_BYTES = 20_000;

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let storage: TestStorage;
let partition: Partition;

beforeEach(async () => {
  dir = await makeTempDir();
  storage = await openTestStorage(dir.path, { config: { checkpointBytes: 16_384 } });
  partition = await createTopic(storage);
});
afterEach(async () => {
  await storage.close();
  await dir.remove();
});

async function newestSlot(): Promise<Slot | undefined> {
  const bytes = await readFile(join(logDirectory(dir.path, partition), 'checkpoint'));
  const slots = [decodeSlot(bytes, 0), decodeSlot(bytes, SLOT_BYTES)];
  return slots
    .filter((slot): slot is Slot => typeof slot === 'object')
    .sort((a, b) => b.sequence - a.sequence)[0];
}

/** Appends after so long, and resolves when it is synced; what is due then has begun. */
async function append(afterMs: number, bytes: number): Promise<void> {
  storage.clock.advance(afterMs);
  await partition.append(chunksOf(makeBatch({ valueBytes: bytes })), -1);
}

/** How many checkpoints were written, up to one of all that is there. */
async function written(): Promise<number> {
  for (;;) {
    const slot = await newestSlot();
    if (slot?.checkpoint.endOffset === partition.endOffset) return slot.sequence;
    await setImmediate();
  }
}

test('where little comes, a checkpoint follows the interval', async () => {
  await append(0, LITTLE_BYTES);
  const first = await written();
  for (let i = 0; i < 4; i += 1) await append(2_000, LITTLE_BYTES);
  await append(2_000, LITTLE_BYTES);
  expect(await written()).toBe(first + 1);
});

test('where much comes, it follows that, and none comes within a second of the last', async () => {
  await append(0, LITTLE_BYTES);
  const first = await written();
  await append(999, MUCH_BYTES);
  await append(1, LITTLE_BYTES);
  expect(await written()).toBe(first + 1);
  await append(999, MUCH_BYTES);
  await append(0, MUCH_BYTES);
  await append(1, LITTLE_BYTES);
  expect(await written()).toBe(first + 2);
});
