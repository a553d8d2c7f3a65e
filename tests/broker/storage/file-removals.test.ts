import { existsSync, fstatSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FileRemovals } from '../../../broker/src/storage/file-removals.js';
import { nativeOrThrow } from '../../support/storage.js';
import { makeTempDir } from '../../support/temp-dir.js';

const MIB = 2 ** 20;
const FILE_BYTES = 21 * MIB + 5;
/** What {@link FileRemovals} holds at a time. */
const HELD_FILES = 64;

let directory: Awaited<ReturnType<typeof makeTempDir>>;
let removals: FileRemovals;
const native = nativeOrThrow();

beforeEach(async () => {
  directory = await makeTempDir();
  removals = new FileRemovals(native);
});
afterEach(async () => {
  await removals.close();
  await directory.remove();
});

function makeFile(name = 'a.log', bytes = FILE_BYTES): string {
  const path = join(directory.path, name);
  writeFileSync(path, Buffer.alloc(bytes, 7));
  return path;
}

/** Sizes of the files that this process has open and that have no name any more, or had this one. */
function sizesWithoutName(name = ''): number[] {
  const sizes: number[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      const isOurs = target.startsWith(directory.path) && target.endsWith(`${name} (deleted)`);
      if (isOurs) sizes.push(fstatSync(Number(fd)).size);
    } catch {
      // That of the listing itself.
    }
  }
  return sizes;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the name of a large file goes at once, its space in steps of 4 MiB', async () => {
  const seen = new Set<number>();
  const between = [20, 16, 12, 8, 4].map((mib) => mib * MIB);
  // A busy machine may look away while a file is shrunk.
  while (!between.some((size) => seen.has(size))) {
    const path = makeFile();
    await removals.remove(path);
    expect(existsSync(path)).toBe(false);
    for (let left = sizesWithoutName(); left.length > 0; left = sizesWithoutName()) {
      seen.add(left[0] ?? 0);
      await turn();
    }
  }
  expect([FILE_BYTES, ...between, 0]).toEqual(expect.arrayContaining([...seen]));
  await removals.idle();
});

test.each(['open for reading', 'mapped'])('a file that is still %s stays whole', async (use) => {
  const path = makeFile();
  const user = native.openFile(path, 'read');
  const mapping = use === 'mapped' ? user.map(FILE_BYTES, 'read') : undefined;
  if (mapping !== undefined) user.close();
  const other = makeFile('b.log');
  await removals.remove(path);
  // The next one does not wait for it.
  await removals.remove(other);
  while (sizesWithoutName('b.log').length > 0) await turn();
  expect(sizesWithoutName().every((size) => size === FILE_BYTES)).toBe(true);
  if (mapping === undefined) {
    const tail = Buffer.alloc(5);
    expect(user.read(tail, FILE_BYTES - 5)).toBe(5);
    expect(tail).toEqual(Buffer.alloc(5, 7));
  }
  user.close();
  mapping?.unmap();
  await removals.idle();
  expect(sizesWithoutName()).toEqual([]);
});

test('a file that gives its name to another is let go of in steps, or not at all', async () => {
  const path = makeFile();
  removals.hold(path)?.keep();
  await removals.idle();
  const reader = native.openFile(path, 'read');
  expect(reader.size()).toBe(FILE_BYTES);
  reader.close();
  expect(sizesWithoutName()).toEqual([]);
});

test('small files, files that are gone, and those beyond the bound go at once', async () => {
  await removals.remove(makeFile('small.log', 4 * MIB));
  await removals.remove(join(directory.path, 'gone.log'));
  expect(sizesWithoutName()).toEqual([]);
  const users = Array.from({ length: HELD_FILES + 1 }, (_, i) => {
    const path = makeFile(`${i}.log`, 0);
    const file = native.openFile(path, 'readwrite');
    file.truncate(5 * MIB);
    return { path, file };
  });
  for (const { path } of users) await removals.remove(path);
  // The users' own descriptors, and one for each that is held.
  expect(sizesWithoutName()).toHaveLength(2 * HELD_FILES + 1);
  for (const { file } of users) file.close();
  await removals.idle();
  expect(sizesWithoutName()).toEqual([]);
});

test('close lets go of everything at once, also of what is used', async () => {
  const path = makeFile();
  const user = native.openFile(path, 'read');
  await removals.remove(path);
  await removals.remove(makeFile('b.log'));
  await removals.close();
  expect(sizesWithoutName()).toEqual([FILE_BYTES]);
  user.close();
});

test('without the native module files go at once', async () => {
  const path = makeFile();
  await new FileRemovals(undefined).remove(path);
  expect(existsSync(path)).toBe(false);
  expect(sizesWithoutName()).toEqual([]);
});
