import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FileCache } from '../../../broker/src/storage/file-cache.js';
import { IndexCache } from '../../../broker/src/storage/index-cache.js';
import { OffsetIndex } from '../../../broker/src/storage/offset-index.js';
import { NodeFile } from '../../../broker/src/storage/persistence/file.js';
import { SharedFile } from '../../../broker/src/storage/shared-file.js';
import { makeTempDir } from '../../support/temp-dir.js';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
beforeEach(async () => {
  dir = await makeTempDir();
});
afterEach(async () => {
  await dir.remove();
});

const makeFile = async (name: string): Promise<string> => {
  const path = join(dir.path, name);
  await writeFile(path, `content of ${name}`);
  return path;
};

test('a shared file closes when its last user lets go, and not twice', async () => {
  const shared = new SharedFile(new NodeFile(await makeFile('a'), 'read'));
  shared.retain();
  shared.release();
  expect(shared.file.closed).toBe(false);
  shared.release();
  expect(shared.file.closed).toBe(true);
  expect(() => shared.release()).toThrow(/released twice/);
  expect(() => shared.retain()).toThrow(/closed/);
});

describe('a file cache', () => {
  test('opens a path once, and closes the longest unused', async () => {
    const cache = new FileCache(undefined, 2);
    const paths = [await makeFile('a'), await makeFile('b'), await makeFile('c')] as const;
    const first = cache.acquire(paths[0]);
    expect(cache.acquire(paths[0])).toBe(first);
    first.release();
    first.release();
    const second = cache.acquire(paths[1]);
    second.release();
    cache.acquire(paths[0]).release(); // used again: now b is the longest unused
    cache.acquire(paths[2]).release();
    expect(cache.openFiles).toBe(2);
    expect(first.file.closed).toBe(false);
    expect(second.file.closed).toBe(true);
    cache.close();
    expect(first.file.closed).toBe(true);
    expect(cache.openFiles).toBe(0);
  });

  test.each([0, 1])(
    'with room for %i, a file in use stays open until it is released',
    async (max) => {
      const cache = new FileCache(undefined, max);
      const inUse = cache.acquire(await makeFile('a'));
      cache.acquire(await makeFile('b')).release();
      cache.drop(inUse.file.path);
      expect(inUse.file.closed).toBe(false);
      expect(inUse.file.read(Buffer.alloc(7), 0)).toBe(7);
      inUse.release();
      expect(inUse.file.closed).toBe(true);
      cache.close();
    },
  );

  test('a file that cannot be opened leaves nothing behind', async () => {
    const cache = new FileCache(undefined, 2);
    const path = await makeFile('a');
    await unlink(path);
    expect(() => cache.acquire(path)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(cache.openFiles).toBe(0);
  });
});

describe('an index cache', () => {
  const index = (): OffsetIndex => OffsetIndex.empty(0);
  const one = index().memoryBytes;

  test('keeps to its bound, the longest unused goes first', () => {
    const cache = new IndexCache(2 * one);
    const known = [index(), index(), index()] as const;
    const never = (): never => {
      throw new Error('it is here');
    };
    cache.put('a', known[0]);
    cache.put('b', known[1]);
    expect(cache.get('a', never)).toBe(known[0]);
    cache.put('c', known[2]);
    expect(cache.memoryBytes).toBe(2 * one);
    expect(cache.get('a', never)).toBe(known[0]);
    expect(() => cache.get('b', never)).toThrow('it is here');
    cache.drop('a');
    cache.drop('a');
    expect(cache.memoryBytes).toBe(one);
  });

  test('loads a path once for all who ask, and again after a failure', async () => {
    const cache = new IndexCache(10 * one);
    let loads = 0;
    const load = async (): Promise<OffsetIndex> => {
      loads += 1;
      await Promise.resolve();
      if (loads === 1) throw new Error('no luck');
      return index();
    };
    const failing = [cache.get('a', load), cache.get('a', load)];
    for (const one of failing) await expect(one).rejects.toThrow('no luck');
    const loaded = await Promise.all([cache.get('a', load), cache.get('a', load)]);
    expect(loaded[0]).toBe(loaded[1]);
    expect(cache.get('a', load)).toBe(loaded[0]);
    expect(loads).toBe(2);
  });
});
