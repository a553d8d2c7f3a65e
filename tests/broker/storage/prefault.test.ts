import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ByteChunks } from '@millrace/protocol';
import type { Mapping } from '@millrace/native';
import fc from 'fast-check';
import { AdaptivePersistence } from '../../../broker/src/storage/persistence/adaptive.js';
import { openStorageFile } from '../../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../../broker/src/storage/persistence/file.js';
import { MmapPersistence } from '../../../broker/src/storage/persistence/mmap.js';
import type { MmapOptions } from '../../../broker/src/storage/persistence/mapped-segment.js';
import { PrefaultBudget } from '../../../broker/src/storage/persistence/prefault-budget.js';
import { testSeed } from '../../support/seed.js';
import { nativeOrThrow } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const limitBytes = 40_000;
const capacityBytes = 8 << 20;

const smallPages: MmapOptions = {
  ...{ growStepMaxBytes: 65_536, prefaultLeadBytes: 16_384 },
  ...{ prefaultBudgetBytes: limitBytes, hugePagesFromBytes: 0 },
  now: () => 0,
};

/** Room for the leads of one of three, and for its huge pages. */
const fewSmallPages: MmapOptions = { ...smallPages, prefaultBudgetBytes: 20_000 };
const fewHugePages: MmapOptions = {
  ...smallPages,
  ...{ growStepMaxBytes: 4 << 20, hugePagesFromBytes: 10_000, prefaultBudgetBytes: 3 << 20 },
};

interface Populated {
  readonly from: number;
  readonly length: number;
  readonly done: () => void;
}

/** A file whose mapping only notes what is to be populated. */
function fakeFile(populated: Populated[]): StorageFile {
  let size = 0;
  const mapping: Mapping = {
    length: capacityBytes,
    write: () => undefined,
    populate: (from, length) =>
      new Promise<number>((done) => {
        populated.push({ from, length, done: () => done(0) });
      }),
    useHugePages: () => undefined,
    sync: () => Promise.resolve(),
    unmap: () => undefined,
  };
  return {
    ...{ path: 'fake', fd: -1, closed: false },
    native: { map: () => mapping } as unknown as NonNullable<StorageFile['native']>,
    size: () => size,
    links: () => 1,
    allocate: (position, length) => {
      size = position + length;
    },
    write: () => undefined,
    read: () => 0,
    evict: () => undefined,
    nextData: () => undefined,
    truncate: (length) => {
      size = length;
    },
    sync: () => Promise.resolve(),
    close: () => undefined,
  };
}

class CountingBudget extends PrefaultBudget {
  refused = 0;

  override take(bytes: number): boolean {
    const taken = super.take(bytes);
    if (!taken) this.refused += 1;
    return taken;
  }
}

describe('the prefault budget', () => {
  test('gives no more than it has', () => {
    const budget = new PrefaultBudget(100);
    expect(budget.take(60)).toBe(true);
    expect(budget.take(41)).toBe(false);
    expect(budget.usedBytes).toBe(60);
    expect(budget.take(40)).toBe(true);
    budget.give(100);
    expect(budget.usedBytes).toBe(0);
  });

  test('comes back as the write position passes what was populated', () => {
    const budget = new PrefaultBudget(limitBytes);
    const persistence = new MmapPersistence(smallPages, budget);
    const populated: Populated[] = [];
    const writer = persistence.openSegment(fakeFile(populated), capacityBytes, 0);
    const used: number[] = [];
    for (let at = 0; at < 4; at += 1) {
      writer.append(new ByteChunks([Buffer.alloc(8192)]), at * 8192);
      used.push(budget.usedBytes);
    }
    // The first lead, as long as what the segment holds, is still being populated.
    expect(populated).toMatchObject([{ from: 8192, length: 8192 }]);
    expect(used).toEqual([8192, 0, 0, 0]);
  });

  test.each([
    { name: 'mmap', Persistence: MmapPersistence, pages: 'small', options: fewSmallPages },
    { name: 'mmap', Persistence: MmapPersistence, pages: 'huge', options: fewHugePages },
    { name: 'adaptive', Persistence: AdaptivePersistence, pages: 'huge', options: fewHugePages },
  ])(
    'is kept over many segments by $name with $pages pages, and all of it comes back',
    async ({ Persistence, options }) => {
      const seed = testSeed();
      let refused = 0;
      const action = fc.record({
        segment: fc.nat(2),
        what: fc.constantFrom('append', 'append', 'append', 'populated', 'sync', 'finish'),
        bytes: fc.integer({ min: 1, max: 20_000 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(action, { maxLength: 80, size: 'max' }), async (actions) => {
          const budget = new CountingBudget(options.prefaultBudgetBytes);
          const persistence = new Persistence(options, budget);
          const populated: Populated[][] = [[], [], []];
          const open = (
            i: number,
          ): { writer: ReturnType<typeof persistence.openSegment>; end: number } => ({
            writer: persistence.openSegment(fakeFile(populated[i] ?? []), capacityBytes, 0),
            end: 0,
          });
          const segments = [open(0), open(1), open(2)];
          for (const { segment: i, what, bytes } of actions) {
            const segment = segments[i] ?? open(i);
            if (what === 'append' && segment.end + bytes <= capacityBytes) {
              segment.writer.append(new ByteChunks([Buffer.alloc(bytes)]), segment.end);
              segment.end += bytes;
            } else if (what === 'populated') {
              for (const { done } of populated[i]?.splice(0) ?? []) done();
              await new Promise(setImmediate);
            } else if (what === 'sync') await segment.writer.sync(0, segment.end);
            else if (what === 'finish') {
              segment.writer.finish(segment.end);
              segments[i] = open(i);
            }
            expect(budget.usedBytes).toBeGreaterThanOrEqual(0);
            expect(budget.usedBytes).toBeLessThanOrEqual(options.prefaultBudgetBytes);
          }
          for (const { writer, end } of segments) writer.finish(end);
          expect(budget.usedBytes).toBe(0);
          refused += budget.refused;
        }),
        { seed, numRuns: 60 },
      );
      expect(refused).toBeGreaterThan(0);
    },
  );
});

test.each([
  { name: 'mmap', Persistence: MmapPersistence },
  { name: 'adaptive', Persistence: AdaptivePersistence },
])('an append by $name does not fail where nothing can be populated', ({ Persistence }) => {
  const file = fakeFile([]);
  const { native } = file;
  const mapping = native?.map(capacityBytes, 'write');
  if (mapping === undefined) throw new Error('no mapping');
  mapping.populate = () => {
    throw new Error('EAGAIN: no thread can be started');
  };
  const budget = new PrefaultBudget(5 << 20);
  const persistence = new Persistence({ ...smallPages, hugePagesFromBytes: 30_000 }, budget);
  const writer = persistence.openSegment(file, capacityBytes, 0);
  for (let at = 0; at < 20; at += 1) {
    writer.append(new ByteChunks([Buffer.alloc(8192)]), at * 8192);
  }
  writer.finish(20 * 8192);
  expect(budget.usedBytes).toBe(0);
});

test('a real lead is populated within the allocated space', async () => {
  const dir = await makeTempDir();
  const native = nativeOrThrow();
  const file = openStorageFile(native, join(dir.path, 'a'), 'create');
  const persistence = new MmapPersistence(smallPages);
  const writer = persistence.openSegment(file, 1 << 18, 0);
  for (let at = 0; at < 1 << 18; at += 4096) {
    writer.append(new ByteChunks([Buffer.alloc(4096, 7)]), at);
    if (at % 32_768 === 0) await writer.sync(0, at + 4096);
  }
  writer.finish(1 << 18);
  expect(file.size()).toBe(1 << 18);
  file.close();
  await dir.remove();
});
