import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ByteChunks } from '@millrace/protocol';
import type { Mapping } from '@millrace/native';
import { openStorageFile } from '../../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../../broker/src/storage/persistence/file.js';
import { HugePages } from '../../../broker/src/storage/persistence/huge-pages.js';
import { MmapPersistence } from '../../../broker/src/storage/persistence/mmap.js';
import type { MmapOptions } from '../../../broker/src/storage/persistence/mapped-segment.js';
import { PrefaultBudget } from '../../../broker/src/storage/persistence/prefault-budget.js';
import { systemError } from '../../support/faulty-persistence.js';
import { nativeOrThrow } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';
import { withMapping } from '../../support/with-methods.js';

const MIB = 1024 * 1024;
const capacityBytes = 64 * MIB;
const budgetBytes = 64 * MIB;
const chunk = Buffer.alloc(MIB, 'm');

/** What a mapping was asked for, in order: `huge FROM`, `small FROM` and `populate FROM LENGTH`, in MiB. */
type Asked = string[];

/** The populating that was asked for last. */
let populated: Promise<unknown> = Promise.resolve();

interface Cuts {
  fail: boolean;
}

/** The file's own mapping, which notes what it is asked for. */
function recorded(file: StorageFile, asked: Asked, cuts: Cuts): StorageFile {
  const truncate = (length: number): void => {
    if (cuts.fail) throw systemError('EIO');
    file.truncate(length);
  };
  return withMapping(
    file,
    (mapping) => ({
      populate: (from, bytes) => {
        if (bytes > 0) asked.push(`populate ${from / MIB} ${bytes / MIB}`);
        const populating = mapping.populate(from, bytes);
        populated = populating;
        return populating;
      },
      useHugePages: (from, wanted) => {
        asked.push(`${wanted ? 'huge' : 'small'} ${from / MIB}`);
        mapping.useHugePages(from, wanted);
      },
    }),
    { truncate },
  );
}

function saying(what: 'huge' | 'small', asked: Asked): Asked {
  return asked.filter((each) => each.startsWith(what));
}

interface Opened {
  readonly file: StorageFile;
  readonly asked: Asked;
  /** Appends so many MiB, 64 a second or as said, each populated as far as wanted before the next. */
  readonly append: (mib: number, mibPerSecond?: number) => Promise<void>;
  readonly sync: () => Promise<void>;
  readonly cuts: Cuts;
  readonly budget: PrefaultBudget;
}

async function withSegment(work: (segment: Opened) => Promise<void>): Promise<void> {
  const dir = await makeTempDir();
  const file = openStorageFile(nativeOrThrow(), join(dir.path, 'a'), 'create');
  const asked: Asked = [];
  let nowMs = 0;
  const options: MmapOptions = {
    now: () => nowMs,
    growStepMaxBytes: 16 * MIB,
    prefaultLeadBytes: 4 * MIB,
    prefaultBudgetBytes: budgetBytes,
    hugePagesFromBytes: 8 * MIB,
  };
  const budget = new PrefaultBudget(budgetBytes);
  const persistence = new MmapPersistence(options, budget);
  const cuts: Cuts = { fail: false };
  const writer = persistence.openSegment(recorded(file, asked, cuts), capacityBytes, 0);
  let end = 0;
  let synced = 0;
  try {
    await work({
      ...{ file, asked, cuts, budget },
      append: async (mib, mibPerSecond = 64) => {
        for (let left = mib; left > 0; left -= 1) {
          nowMs += 1000 / mibPerSecond;
          writer.append(new ByteChunks([chunk]), end);
          end += MIB;
          await populated;
          await new Promise(setImmediate);
        }
      },
      sync: async () => {
        await writer.sync(synced, end);
        synced = end;
      },
    });
  } finally {
    cuts.fail = false;
    writer.finish(end);
    expect(file.size()).toBe(end);
    const seen = Buffer.alloc(MIB);
    for (let at = 0; at < end; at += MIB) {
      file.read(seen, at);
      expect(seen.equals(chunk)).toBe(true);
    }
    file.close();
    await dir.remove();
  }
}

describe('what counts for huge pages', () => {
  const mapping = { length: capacityBytes, useHugePages: () => undefined } as unknown as Mapping;
  let nowMs = 0;
  const newPages = (): HugePages => new HugePages(mapping, 8 * MIB, 0, () => nowMs);

  test('of what is appended while a sync runs is the time, too', () => {
    const pages = newPages();
    pages.appended();
    pages.syncing(MIB);
    // 10 MiB while that sync takes 10 s.
    pages.appended();
    nowMs += 10_000;
    expect(pages.startFor(11 * MIB, 11 * MIB)).toBeUndefined();
    // As much in 100 ms, before the next sync, is fast.
    pages.syncing(11 * MIB);
    pages.appended();
    nowMs += 100;
    expect(pages.startFor(21 * MIB, 21 * MIB)).toBe(22 * MIB);
  });

  test('is not how long a sync takes after which nothing is appended', () => {
    const pages = newPages();
    pages.appended();
    nowMs += 100;
    pages.begin(10 * MIB);
    pages.syncing(10 * MIB);
    expect(pages.endsSoon).toBe(false);
    nowMs += 10_000;
    pages.appended();
    nowMs += 100;
    pages.syncing(20 * MIB);
    expect(pages.endsSoon).toBe(false);
    pages.appended();
    nowMs += 1_000;
    pages.syncing(30 * MIB);
    expect(pages.endsSoon).toBe(true);
    pages.end();
    expect(pages).toMatchObject({ isOn: false, endsSoon: false });
  });

  test('is nothing where they are off', () => {
    const pages = new HugePages(mapping, 0, 0, () => nowMs);
    pages.appended();
    expect(pages.startFor(40 * MIB, 0)).toBeUndefined();
  });
});

describe('huge pages', () => {
  test('are for a segment that gets much between two syncs', async () => {
    await withSegment(async ({ asked, append }) => {
      await append(7);
      expect(saying('huge', asked)).toEqual([]);
      await append(12);
      const from = asked.findIndex((each) => each.startsWith('huge'));
      expect(from).toBeGreaterThan(0);
      const start = Number(asked[from]?.split(' ')[1]);
      // Beyond all that was populated or may have been read ahead, and populated before what leads to it.
      expect(start % 2).toBe(0);
      const populatedTo = Math.max(
        ...asked.slice(0, from).map((each) => {
          const [, at = 0, length = 0] = each.split(' ').map(Number);
          return at + length;
        }),
      );
      expect(start).toBeGreaterThan(populatedTo);
      expect(asked[from + 1]).toMatch(new RegExp(`^populate ${start} `));
      // From then on in whole ones.
      const behind = asked.slice(from + 3);
      expect(behind.length).toBeGreaterThan(0);
      for (const each of behind) {
        const [, ...mib] = each.split(' ').map(Number);
        expect(mib.every((number) => number % 2 === 0)).toBe(true);
      }
    });
  });

  test('are not for one that gets as much, but is synced as often', async () => {
    await withSegment(async ({ asked, append, sync }) => {
      for (let round = 0; round < 8; round += 1) {
        await append(5);
        await sync();
      }
      expect(saying('huge', asked)).toEqual([]);
    });
  });

  test('are not for one that gets as much, but slowly, and end where that begins', async () => {
    await withSegment(async ({ file, asked, append, sync }) => {
      await append(10, 10);
      await sync();
      expect(saying('huge', asked)).toEqual([]);
      await append(12);
      await sync();
      expect(saying('huge', asked)).toHaveLength(1);
      await append(10, 10);
      await sync();
      expect(saying('small', asked)).toHaveLength(1);
      expect(file.size()).toBe(32 * MIB);
    });
  });

  test('end with a sync of little, and the file is cut: no sync writes the rest of one', async () => {
    await withSegment(async ({ file, asked, append, sync }) => {
      await append(20);
      await sync();
      expect(file.size()).toBeGreaterThan(20 * MIB);
      expect(saying('small', asked)).toEqual([]);
      await append(1);
      await sync();
      expect(saying('small', asked)).toHaveLength(1);
      expect(file.size()).toBe(21 * MIB);
      // It goes on in small pages, and in huge ones once there is much again.
      await append(1);
      expect(asked.at(-1)).toBe('populate 22 4');
      await append(1);
      await sync();
      expect(saying('huge', asked)).toHaveLength(1);
      await append(14);
      expect(saying('huge', asked)).toHaveLength(2);
    });
  });

  test('end with the next sync where the file could not be cut', async () => {
    await withSegment(async ({ file, asked, append, sync, cuts }) => {
      await append(20);
      await sync();
      cuts.fail = true;
      await append(1);
      await sync();
      expect(file.size()).toBeGreaterThan(21 * MIB);
      cuts.fail = false;
      await append(1);
      await sync();
      expect(file.size()).toBe(22 * MIB);
      expect(saying('small', asked)).toHaveLength(1);
    });
  });

  test('are not begun with, and end, where there is no memory for them', async () => {
    await withSegment(async ({ asked, append, sync, budget }) => {
      const takeAll = (): boolean => budget.take(budgetBytes - budget.usedBytes);
      takeAll();
      await append(20);
      await sync();
      expect(asked).toEqual([]);
      budget.give(budget.usedBytes);
      await append(20);
      expect(saying('huge', asked)).toHaveLength(1);
      for (let i = 0; i < 5; i += 1) {
        takeAll();
        await append(1);
      }
      await sync();
      expect(saying('small', asked)).toHaveLength(1);
    });
  });
});
