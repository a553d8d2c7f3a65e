import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { ByteChunks } from '@millrace/protocol';
import type { Mapping, Native } from '@millrace/native';
import { openStorageFile } from '../../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../../broker/src/storage/persistence/file.js';
import { MmapPersistence } from '../../../broker/src/storage/persistence/mmap.js';
import type { SegmentWriter } from '../../../broker/src/storage/persistence/persistence.js';
import { nativeOrThrow } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const MIB = 1024 * 1024;
const capacityBytes = 64 * MIB;
const chunk = Buffer.alloc(MIB, 'm');

/** What a mapping was asked for, in order: `huge FROM`, `small FROM` and `populate FROM LENGTH`, in MiB. */
type Asked = string[];

/** The populating that was asked for last. */
let populated: Promise<void> = Promise.resolve();

/** The file's own mapping, which notes what it is asked for. */
function recorded(file: StorageFile, asked: Asked): StorageFile {
  const { native } = file;
  if (native === undefined) throw new Error('no native file');
  const map: typeof native.map = (length, access) => {
    const mapping = native.map(length, access);
    const recording: Mapping = {
      length,
      write: (chunks, position) => mapping.write(chunks, position),
      populate: (from, bytes) => {
        if (bytes > 0) asked.push(`populate ${from / MIB} ${bytes / MIB}`);
        populated = mapping.populate(from, bytes);
        return populated;
      },
      useHugePages: (from, wanted) => {
        asked.push(`${wanted ? 'huge' : 'small'} ${from / MIB}`);
        mapping.useHugePages(from, wanted);
      },
      sync: (from, bytes) => mapping.sync(from, bytes),
      unmap: () => mapping.unmap(),
    };
    return recording;
  };
  return instead(file, { native: instead(native, { map }) });
}

/** `target` with some of its properties replaced; its methods keep their own `this`. */
function instead<Target extends object>(target: Target, replaced: Partial<Target>): Target {
  return new Proxy(target, {
    get: (_, key): unknown => {
      if (key in replaced) return Reflect.get(replaced, key);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

interface Opened {
  readonly file: StorageFile;
  readonly writer: SegmentWriter;
  readonly asked: Asked;
  /** Appends so many MiB, 64 a second or as said, each populated as far as wanted before the next. */
  readonly append: (mib: number, mibPerSecond?: number) => Promise<void>;
  readonly sync: () => Promise<void>;
}

async function withSegment(
  work: (segment: Opened) => Promise<void>,
  native: Native = nativeOrThrow(),
): Promise<void> {
  const dir = await makeTempDir();
  const file = openStorageFile(native, join(dir.path, 'a'), 'create');
  const asked: Asked = [];
  let nowMs = 0;
  const persistence = new MmapPersistence({
    now: () => nowMs,
    growStepMaxBytes: 16 * MIB,
    prefaultLeadBytes: 4 * MIB,
    prefaultBudgetBytes: 64 * MIB,
  });
  const writer = persistence.openSegment(recorded(file, asked), capacityBytes, 0);
  let end = 0;
  let synced = 0;
  try {
    await work({
      ...{ file, writer, asked },
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

describe('huge pages', () => {
  test('are for a segment that gets much between two syncs', async () => {
    await withSegment(async ({ asked, append }) => {
      await append(7);
      expect(asked.filter((each) => each.startsWith('huge'))).toEqual([]);
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
      for (const each of asked.slice(from + 3)) {
        expect(
          each
            .split(' ')
            .slice(1)
            .every((mib) => Number(mib) % 2 === 0),
        ).toBe(true);
      }
    });
  });

  test('are not for one that gets as much, but is synced as often', async () => {
    await withSegment(async ({ asked, append, sync }) => {
      for (let round = 0; round < 8; round += 1) {
        await append(5);
        await sync();
      }
      expect(asked.filter((each) => each.startsWith('huge'))).toEqual([]);
    });
  });

  test('are not for one that gets as much, but slowly, and end where that begins', async () => {
    await withSegment(async ({ file, asked, append, sync }) => {
      await append(10, 10);
      await sync();
      expect(asked.filter((each) => each.startsWith('huge'))).toEqual([]);
      await append(12);
      await sync();
      expect(asked.filter((each) => each.startsWith('huge'))).toHaveLength(1);
      await append(10, 10);
      await sync();
      expect(asked.filter((each) => each.startsWith('small'))).toHaveLength(1);
      expect(file.size()).toBe(32 * MIB);
    });
  });

  test('end with a sync of little, and the file is cut: no sync writes the rest of one', async () => {
    await withSegment(async ({ file, asked, append, sync }) => {
      await append(20);
      await sync();
      expect(file.size()).toBeGreaterThan(20 * MIB);
      expect(asked.filter((each) => each.startsWith('small'))).toEqual([]);
      await append(1);
      await sync();
      expect(asked.filter((each) => each.startsWith('small'))).toHaveLength(1);
      expect(file.size()).toBe(21 * MIB);
      // It goes on in small pages, and in huge ones once there is much again.
      await append(2);
      await sync();
      expect(asked.filter((each) => each.startsWith('huge'))).toHaveLength(1);
      await append(14);
      expect(asked.filter((each) => each.startsWith('huge'))).toHaveLength(2);
    });
  });
});
