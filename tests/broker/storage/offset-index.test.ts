import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { BatchScanner } from '../../../broker/src/storage/batch-scanner.js';
import { INDEX_ENTRY_BYTES, OffsetIndex } from '../../../broker/src/storage/offset-index.js';
import { NodeFile } from '../../../broker/src/storage/persistence/file.js';
import { makeBatch } from '../../support/batches.js';
import { makeTempDir } from '../../support/temp-dir.js';

const BASE = 5_000_000_000;

/** An index of `count` batches of 10 records and 100 bytes, timestamps rising by 1,000. */
function indexOf(count: number, intervalBytes = 100): OffsetIndex {
  const index = OffsetIndex.empty(BASE);
  for (let i = 0; i < count; i += 1) track(index, i, intervalBytes);
  return index;
}

function track(index: OffsetIndex, i: number, intervalBytes: number): void {
  index.track(BASE + i * 10, i * 1000, i * 100, intervalBytes);
}

describe('an offset index', () => {
  test('has an entry every interval, from the first batch on', () => {
    const index = indexOf(100, 250);
    expect(index.count).toBe(34);
    expect(index.floorPosition(0)).toEqual({ offset: BASE, position: 0, maxTimestampMs: -1 });
    expect(index.last).toEqual({ offset: BASE + 990, position: 9900, maxTimestampMs: 98_000 });
  });

  test('finds the last entry at or before an offset, a position, a time', () => {
    const index = indexOf(50);
    expect(index.floorOffset(BASE - 1)).toBeUndefined();
    expect(index.floorOffset(BASE + 209)?.position).toBe(2000);
    expect(index.floorOffset(BASE + 210)?.position).toBe(2100);
    expect(index.floorOffset(BASE + 10_000)?.position).toBe(4900);
    expect(index.floorPosition(2099)?.offset).toBe(BASE + 200);
    expect(index.floorPosition(2100)?.offset).toBe(BASE + 210);
    // Before the entry at 2100 the largest timestamp is 20,000: one of 20,000 lies before it.
    expect(index.floorTimestamp(20_000)?.position).toBe(2000);
    expect(index.floorTimestamp(20_001)?.position).toBe(2100);
    expect(index.floorTimestamp(0)?.position).toBe(0);
  });

  test('comes back from its bytes, and goes on', () => {
    const index = indexOf(20);
    const bytes = Buffer.concat([
      index.encode().subarray(0, 7 * INDEX_ENTRY_BYTES),
      index.encode(7),
    ]);
    expect(bytes).toEqual(index.encode());
    const parsed = OffsetIndex.parse(BASE, bytes, 1e6);
    expect(parsed.count).toBe(20);
    expect(parsed.asStored).toBe(true);
    // The batch of the last entry may come again.
    for (let i = 19; i < 60; i += 1) track(parsed, i, 100);
    expect(parsed.encode()).toEqual(indexOf(60).encode());
    expect(parsed.asStored).toBe(false);
  });

  test('believes its file up to the first entry that cannot be', () => {
    const bytes = indexOf(20).encode();
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(
      flipped.readUInt8(10 * INDEX_ENTRY_BYTES + 3) ^ 1,
      10 * INDEX_ENTRY_BYTES + 3,
    );
    expect(OffsetIndex.parse(BASE, flipped, 1e6).count).toBe(10);
    expect(OffsetIndex.parse(BASE, bytes.subarray(0, 5 * INDEX_ENTRY_BYTES + 7), 1e6).count).toBe(
      5,
    );
    expect(OffsetIndex.parse(BASE, bytes, 1200).count).toBe(12);
    const twice = Buffer.concat([bytes, bytes]);
    expect(OffsetIndex.parse(BASE, twice, 1e6).count).toBe(20);
    expect(OffsetIndex.parse(BASE, Buffer.alloc(100), 1e6).count).toBe(0);
    const rebuilt = OffsetIndex.parse(BASE, flipped, 1e6);
    for (let i = 9; i < 20; i += 1) track(rebuilt, i, 100);
    expect(rebuilt.encode()).toEqual(bytes);
  });
});

describe('a batch scanner', () => {
  const batches = [1, 40, 3, 200, 1, 1, 2].map((records) => makeBatch({ records }));
  const bytes = Buffer.concat(batches);

  async function scan(
    content: Buffer,
    { from = 0, limit = content.length, windowBytes = 16_384 } = {},
  ): Promise<{ found: number[]; position: number }> {
    const dir = await makeTempDir();
    await writeFile(join(dir.path, 'f'), content);
    const file = new NodeFile(join(dir.path, 'f'), 'read');
    const scanner = new BatchScanner(file, from, limit, windowBytes);
    const found: number[] = [];
    for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
      found.push(batch.header.recordCount);
    }
    file.close();
    await dir.remove();
    return { found, position: scanner.position };
  }

  test.each([1, 61, 62, 200, 16_384])(
    'walks whole batches by windows of %i bytes',
    async (windowBytes) => {
      const whole = await scan(bytes, { windowBytes });
      expect(whole).toEqual({ found: [1, 40, 3, 200, 1, 1, 2], position: bytes.length });
    },
  );

  test('stops at the limit, and before a batch that reaches beyond it', async () => {
    const two = (batches[0]?.length ?? 0) + (batches[1]?.length ?? 0);
    expect(await scan(bytes, { limit: two })).toEqual({ found: [1, 40], position: two });
    expect((await scan(bytes, { limit: two - 1 })).found).toEqual([1]);
    expect((await scan(bytes, { limit: two + 70 })).found).toEqual([1, 40]);
    expect((await scan(bytes, { from: two })).found).toEqual([3, 200, 1, 1, 2]);
    expect((await scan(bytes, { limit: 0 })).found).toEqual([]);
  });

  test('stops at zeros, at garbage, at a length that leads nowhere, and where the file ends', async () => {
    const first = batches[0] ?? Buffer.alloc(0);
    const position = first.length;
    for (const tail of [Buffer.alloc(500), Buffer.alloc(500, 0xa5)]) {
      expect(await scan(Buffer.concat([first, tail]))).toEqual({ found: [1], position });
    }
    for (const length of [-1, 0, 48, 2 ** 31 - 1]) {
      const second = Buffer.from(batches[1] ?? '');
      second.writeInt32BE(length, 8);
      expect(await scan(Buffer.concat([first, second]))).toEqual({ found: [1], position });
    }
    expect((await scan(first, { limit: 10_000 })).found).toEqual([1]);
  });
});
