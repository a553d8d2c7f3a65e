import { join } from 'node:path';
import { loadNative } from '@millrace/native';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { BatchScanner } from '../../../broker/src/storage/batch-scanner.js';
import { openStorageFile } from '../../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../../broker/src/storage/persistence/file.js';
import { checkTail, endOfContent } from '../../../broker/src/storage/tail-check.js';
import { makeBatch } from '../../support/batches.js';
import { makeTempDir } from '../../support/temp-dir.js';

const MIB = 2 ** 20;
const native = loadNative();
let directory: Awaited<ReturnType<typeof makeTempDir>>;
const opened: StorageFile[] = [];

beforeEach(async () => {
  directory = await makeTempDir();
});
afterEach(async () => {
  for (const file of opened.splice(0)) file.close();
  await directory.remove();
});

function newFile(withNative: boolean): StorageFile {
  const path = join(directory.path, `${opened.length}.log`);
  const file = openStorageFile(withNative ? native : undefined, path, 'create');
  opened.push(file);
  return file;
}

test.each([true, false])('the end of content behind holes and zeros (native: %s)', (withNative) => {
  const file = newFile(withNative);
  const byte = Buffer.from([7]);
  file.allocate(0, 8 * MIB);
  file.write([byte], 100);
  file.write([byte], 3 * MIB + 5);
  // Written, and nothing but zeros.
  file.write([Buffer.alloc(MIB)], 6 * MIB);
  expect(endOfContent(file, 0)).toBe(3 * MIB + 6);
  expect(endOfContent(file, 101)).toBe(3 * MIB + 6);
  expect(endOfContent(file, 3 * MIB + 6)).toBe(3 * MIB + 6);
  file.evict(4 * MIB);
  expect(endOfContent(file, 0)).toBe(3 * MIB + 6);
});

/** Batches of these sizes of values, one after another from offset 0 on. */
function write(file: StorageFile, valueBytes: readonly number[]): number[] {
  const positions: number[] = [];
  let position = 0;
  for (const [offset, bytes] of valueBytes.entries()) {
    const batch = Buffer.from(makeBatch({ records: 1, valueBytes: bytes }));
    batch.writeBigInt64BE(BigInt(offset));
    batch.writeInt32BE(0, 12);
    file.write([batch], position);
    positions.push(position);
    position += batch.length;
  }
  return [...positions, position];
}

const MIXED = [10, 10, 70_000, 16_200, 16_300, 16_400, 10, 430, 440, 450, 300_000, 10, 40_000, 1];

test('a tail is read whole, whatever the sizes of its batches', () => {
  const file = newFile(true);
  const positions = write(file, MIXED);
  const expected = { offset: 0, maxBatchBytes: MIB, maxLeaderEpoch: 0 };
  expect(checkTail(file, 0, expected)).toEqual({
    ...{ end: positions.at(-1), nextOffset: MIXED.length, lastEpoch: 0, problem: undefined },
  });
});

test.each([16 * 1024, 512, 61])('a walk with a window of %i finds every batch', (windowBytes) => {
  const file = newFile(true);
  const positions = write(file, MIXED);
  const scanner = new BatchScanner(file, 0, positions.at(-1) ?? 0, windowBytes);
  const found: number[] = [];
  for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
    found.push(batch.position);
  }
  expect(found).toEqual(positions.slice(0, -1));
});
