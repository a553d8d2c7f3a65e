import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { readBatches } from '@millrace/protocol';
import fc from 'fast-check';
import { testSeed } from '../../../support/seed.js';
import { makeTempDir } from '../../../support/temp-dir.js';
import { recordsOf, SegmentFiles } from './segment-files.js';
import type { KeyedBatch, StoredRecord } from './segment-files.js';

const key = fc.integer({ min: 0, max: 12 }).map((i) => `k${i}`);
const batchArbitrary: fc.Arbitrary<KeyedBatch> = fc.record({
  records: fc.array(
    fc.record({ key, value: fc.option(fc.string({ maxLength: 30 }), { nil: null }) }),
    { minLength: 1, maxLength: 6 },
  ),
  compression: fc.constantFrom('none', 'gzip', 'snappy', 'lz4', 'zstd'),
});
const roundArbitrary = fc.record({
  segments: fc.array(fc.array(batchArbitrary, { minLength: 1, maxLength: 4 }), { maxLength: 4 }),
  segmentBytes: fc.integer({ min: 1, max: 2_000 }),
  mapBytes: fc.integer({ min: 24 * 4, max: 24 * 40 }),
  dropTombstones: fc.boolean(),
});

test('any rounds over any records leave what a Map would', async () => {
  const property = fc.asyncProperty(fc.array(roundArbitrary, { maxLength: 4 }), async (rounds) => {
    const own = await makeTempDir();
    try {
      const files = new SegmentFiles(own.path);
      const all: StoredRecord[] = [];
      let dirtyFrom = 0;
      for (const { segments, segmentBytes, mapBytes, dropTombstones } of rounds) {
        for (const segment of segments) {
          await files.add(...segment);
          const added = await readFile(files.inputs.at(-1)?.path ?? '');
          for (const view of readBatches(added)) all.push(...recordsOf(view));
        }
        const tombstonesGoBefore = dropTombstones ? dirtyFrom : 0;
        ({ dirtyFrom } = await files.compact({
          ...{ segmentBytes, mapBytes, dirtyFrom, tombstonesGoBefore },
        }));
        checkAgainst(all, await files.stored(), dirtyFrom);
      }
    } finally {
      await own.remove();
    }
  });
  await fc.assert(property, { numRuns: 120, seed: testSeed() });
});

/** What is left is some of what was, in order, and by key it says the same. */
function checkAgainst(
  all: readonly StoredRecord[],
  left: readonly StoredRecord[],
  to: number,
): void {
  const were = new Map(all.map((record) => [record.offset, record]));
  let before = -1;
  for (const record of left) {
    expect(record).toEqual(were.get(record.offset));
    expect(record.offset).toBeGreaterThan(before);
    before = record.offset;
  }
  const table = (stored: readonly StoredRecord[]): [string | null, string | null][] =>
    [...new Map(stored.map(({ key: k, value }) => [k, value]))]
      .filter(([, value]) => value !== null)
      .sort();
  expect(table(left)).toEqual(table(all));
  const clean = left.filter(({ offset }) => offset < to).map((record) => record.key);
  expect(new Set(clean).size).toBe(clean.length);
}
