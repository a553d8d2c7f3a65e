import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ByteChunks } from '@millrace/protocol';
import { AdaptivePersistence } from '../../../broker/src/storage/persistence/adaptive.js';
import { openStorageFile } from '../../../broker/src/storage/persistence/file.js';
import type { StorageFile } from '../../../broker/src/storage/persistence/file.js';
import { MmapPersistence } from '../../../broker/src/storage/persistence/mmap.js';
import type { Persistence } from '../../../broker/src/storage/persistence/persistence.js';
import { WritePersistence } from '../../../broker/src/storage/persistence/write.js';
import { inPieces } from '../../support/batches.js';
import { systemError } from '../../support/faulty-persistence.js';
import { nativeOrThrow, persistKinds } from '../../support/storage.js';
import type { PersistKind } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const KiB = 1024;
const capacity = 1024 * KiB;
const growStepMaxBytes = 128 * KiB;

/** `length` bytes that differ from place to place. */
function pattern(length: number, start = 0): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => ((start + i) * 31 + (i >> 8)) % 251));
}

/** The appends of one segment: small, odd, across pages, larger than a growth step. */
const sizes = [1, 61, 4095, 2, 4096, 4097, 70_000, 3, 200_000, 12_345, 1];

function openFile(kind: PersistKind, path: string, access: 'create' | 'readwrite'): StorageFile {
  return openStorageFile(kind === 'node' ? undefined : nativeOrThrow(), path, access);
}

function makePersistence(kind: PersistKind): Persistence {
  const lead = {
    ...{ prefaultLeadBytes: 64 * KiB, prefaultBudgetBytes: 256 * KiB },
    hugePagesFromBytes: 0,
  };
  if (kind === 'mmap') return new MmapPersistence({ growStepMaxBytes, ...lead });
  if (kind === 'adaptive') return new AdaptivePersistence({ growStepMaxBytes, ...lead });
  return new WritePersistence(growStepMaxBytes);
}

describe.each(persistKinds)('persistence by %s', (kind) => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  let path: string;
  let file: StorageFile;
  let persistence: Persistence;

  beforeEach(async () => {
    dir = await makeTempDir();
    path = join(dir.path, 'segment.log');
    file = openFile(kind, path, 'create');
    persistence = makePersistence(kind);
  });

  afterEach(async () => {
    file.close();
    await dir.remove();
  });

  test('appends, syncs and finishes to the bytes that went in', async () => {
    const writer = persistence.openSegment(file, capacity, 0);
    let end = 0;
    for (const [i, size] of sizes.entries()) {
      writer.append(inPieces(pattern(size, end), i % 2 === 0 ? 1000 : 7), end);
      end += size;
      if (i % 3 === 0) await writer.sync(Math.max(0, end - size), end);
      // Readers of the file see it at once.
      const seen = Buffer.alloc(size);
      expect(file.read(seen, end - size)).toBe(size);
      expect(seen.equals(pattern(size, end - size))).toBe(true);
    }
    await writer.sync(0, end);
    writer.finish(end);
    writer.finish(end);
    writer.release();
    expect((await stat(path)).size).toBe(end);
    let at = 0;
    const expected = Buffer.concat(
      sizes.map((size) => {
        at += size;
        return pattern(size, at - size);
      }),
    );
    expect((await readFile(path)).equals(expected)).toBe(true);
  });

  test('goes on behind the data of a file that was closed', async () => {
    const before = persistence.openSegment(file, capacity, 0);
    before.append(inPieces(pattern(5000), 999), 0);
    before.finish(5000);
    file.close();
    file = openFile(kind, path, 'readwrite');
    const writer = persistence.openSegment(file, capacity, 5000);
    writer.append(inPieces(pattern(100, 5000), 9), 5000);
    writer.finish(5100);
    expect((await readFile(path)).equals(Buffer.concat([pattern(5000), pattern(100, 5000)]))).toBe(
      true,
    );
  });

  test('fills a segment to its last byte', () => {
    const writer = persistence.openSegment(file, 8192, 0);
    writer.append(inPieces(pattern(8192), 5000), 0);
    expect(file.size()).toBe(8192);
    writer.finish(8192);
  });

  test('release leaves the file as it is, and does not end a later finish', () => {
    const writer = persistence.openSegment(file, capacity, 0);
    writer.append(inPieces(pattern(10), 10), 0);
    const size = file.size();
    writer.release();
    writer.release();
    writer.finish(10);
    expect(file.size()).toBe(size);
  });

  test('a sync that is under way survives release and close', async () => {
    const writer = persistence.openSegment(file, capacity, 0);
    writer.append(inPieces(pattern(100_000), 4096), 0);
    const syncing = [writer.sync(0, 50_000), writer.sync(0, 100_000)];
    writer.release();
    file.close();
    await Promise.all(syncing);
  });

  test('a sync fails when the file was cut or removed, and so does the end', async () => {
    const writer = persistence.openSegment(file, capacity, 0);
    writer.append(inPieces(pattern(10_000), 4096), 0);
    await writer.sync(0, 10_000);
    const other = openFile('node', path, 'readwrite');
    // Within a page: the mapping takes what is written there, and no call says that it is lost.
    other.truncate(9_000);
    await expect(writer.sync(0, 10_000)).rejects.toMatchObject({ code: 'EIO', path });
    expect(() => writer.finish(10_000)).toThrow(/was cut to 9000 bytes/);
    other.close();
    writer.release();

    await rm(path);
    file.close();
    file = openFile(kind, path, 'create');
    const next = persistence.openSegment(file, capacity, 0);
    next.append(inPieces(pattern(10_000), 4096), 0);
    await rm(path);
    await expect(next.sync(0, 10_000)).rejects.toThrow(/was removed or replaced/);
    expect(() => next.finish(10_000)).toThrow(/was removed or replaced/);
    next.release();
  });

  test('a file that is there is never taken for a new segment', () => {
    expect(() => openFile(kind, path, 'create')).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    );
  });
});

/** A file whose `fault`-th call of that kind fails like a full disk. */
function failing(
  file: StorageFile,
  method: 'allocate' | 'write',
  faults: readonly number[],
): { file: StorageFile; calls: number[][] } {
  const calls: number[][] = [];
  const wrapped = new Proxy(file, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      if (key !== method) return (value as () => unknown).bind(target);
      return (...args: [never, never]): void => {
        calls.push(args.map((arg) => (typeof arg === 'number' ? arg : 0)));
        if (faults.includes(calls.length)) {
          if (method === 'write') target.write([Buffer.from('torn')], args[1]);
          throw systemError('ENOSPC');
        }
        target[method](...args);
      };
    },
  });
  return { file: wrapped, calls };
}

describe('a full disk', () => {
  let dir: Awaited<ReturnType<typeof makeTempDir>>;
  beforeEach(async () => {
    dir = await makeTempDir();
  });
  afterEach(async () => {
    await dir.remove();
  });

  test.each(['mmap', 'write'] as const)('%s: the bare need is tried before giving up', (kind) => {
    const { file, calls } = failing(openFile(kind, join(dir.path, 'a'), 'create'), 'allocate', [1]);
    const writer = makePersistence(kind).openSegment(file, capacity, 0);
    writer.append(inPieces(pattern(100), 100), 0);
    expect(calls).toEqual([
      [0, 64 * KiB],
      [0, 100],
    ]);
    writer.finish(100);
    file.close();
  });

  test.each(['mmap', 'write'] as const)(
    '%s: nothing is visible of an append it refuses',
    (kind) => {
      const { file } = failing(openFile(kind, join(dir.path, 'a'), 'create'), 'allocate', [2, 3]);
      const writer = makePersistence(kind).openSegment(file, capacity, 0);
      writer.append(inPieces(pattern(60_000), 9999), 0);
      const size = file.size();
      const refused = (): void => writer.append(inPieces(pattern(50_000), 9999), 60_000);
      expect(refused).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
      expect(file.size()).toBe(size);
      const behind = Buffer.alloc(size - 60_000, 1);
      file.read(behind, 60_000);
      expect(behind.every((byte) => byte === 0)).toBe(true);
      // There is space again.
      refused.call(undefined);
      writer.finish(110_000);
      const read = Buffer.alloc(110_000);
      file.read(read, 0);
      expect(read.equals(Buffer.concat([pattern(60_000), pattern(50_000)]))).toBe(true);
      file.close();
    },
  );

  test.each(['write', 'node'] as const)('%s: a torn write is taken back', async (kind) => {
    const path = join(dir.path, 'a');
    const { file } = failing(openFile(kind, path, 'create'), 'write', [2]);
    const writer = makePersistence(kind).openSegment(file, capacity, 0);
    writer.append(inPieces(pattern(1000), 999), 0);
    const again = (): void => writer.append(inPieces(pattern(500, 1000), 99), 1000);
    expect(again).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(file.size()).toBe(1000);
    again();
    writer.finish(1500);
    expect((await readFile(path)).equals(Buffer.concat([pattern(1000), pattern(500, 1000)]))).toBe(
      true,
    );
    file.close();
  });

  test('growth doubles from 64 KiB up to the largest step, and ends at the capacity', () => {
    const { file, calls } = failing(
      openFile('mmap', join(dir.path, 'a'), 'create'),
      'allocate',
      [],
    );
    const writer = makePersistence('mmap').openSegment(file, 500 * KiB, 0);
    for (let at = 0; at < 500 * KiB; at += 10 * KiB) {
      writer.append(new ByteChunks([pattern(10 * KiB)]), at);
    }
    expect(calls.map(([position = 0, length = 0]) => (position + length) / KiB)).toEqual([
      64, 128, 256, 384, 500,
    ]);
    writer.finish(500 * KiB);
    file.close();
  });
});
