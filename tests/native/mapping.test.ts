import { existsSync, readFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import type { Mapping, NativeFile } from '@millrace/native';
import { HUGE_PAGE_BYTES } from '@millrace/native';
import { createFile, describeNative, pattern, thrownBy, useDirectory } from './helpers.js';

const MIB = 1024 * 1024;

describeNative('Mapping', (native) => {
  const directory = useDirectory();
  const release: (() => void)[] = [];
  afterEach(() => {
    for (const action of release.splice(0)) action();
  });
  function mapped(bytes: number, access: 'read' | 'write' = 'write'): [NativeFile, Mapping] {
    const file = createFile(native, directory.file(), Buffer.alloc(0));
    file.allocate(0, MIB);
    const mapping = file.map(bytes, access);
    release.push(
      () => file.close(),
      () => mapping.unmap(),
    );
    return [file, mapping];
  }
  const mappings = (): number =>
    readFileSync('/proc/self/maps', 'utf8').split(directory.file()).length - 1;

  test.each([0, 1, 31, 32, 33, 2000])('copies %i chunks to where reads see them', (count) => {
    const [file, mapping] = mapped(MIB);
    const chunks = Array.from({ length: count }, (_, i) => pattern((i % 5) * 8, i + 1));
    mapping.write(chunks, 777);
    const expected = Buffer.concat(chunks);
    const seen = Buffer.alloc(expected.length);
    file.read(seen, 777);
    expect(seen.equals(expected)).toBe(true);
  });

  test('lets the file grow under it', () => {
    const [file, mapping] = mapped(4 * MIB);
    expect(mapping.length).toBe(4 * MIB);
    file.allocate(MIB, MIB);
    mapping.write([pattern(100)], 2 * MIB - 100);
    const seen = Buffer.alloc(100);
    expect(file.read(seen, 2 * MIB - 100)).toBe(100);
    expect(seen.equals(pattern(100))).toBe(true);
  });

  test('lives on when the file is closed', async () => {
    const [file, mapping] = mapped(MIB);
    const { fd } = file;
    file.close();
    expect(existsSync(`/proc/self/fd/${fd}`)).toBe(false);
    mapping.write([pattern(64)], 0);
    await mapping.sync(0, 64);
    expect(await mapping.populate(0, MIB)).toBeGreaterThan(0);
    expect(readFileSync(directory.file()).subarray(0, 64).equals(pattern(64))).toBe(true);
  });

  test('pre-faults as far as the file reaches, and keeps what is there', async () => {
    const [file, mapping] = mapped(8 * MIB);
    mapping.write([pattern(5000)], 3000);
    await mapping.populate(0, 8 * MIB);
    await mapping.populate(MIB - 1, 1);
    await mapping.populate(4 * MIB, MIB);
    await mapping.populate(0, 0);
    const seen = Buffer.alloc(5000);
    file.read(seen, 3000);
    expect(seen.equals(pattern(5000))).toBe(true);
    file.truncate(5);
    await mapping.populate(0, 8 * MIB);
    file.close();
    await mapping.populate(0, 8 * MIB);
  });

  test('syncs ranges that start and end anywhere', async () => {
    const [, mapping] = mapped(MIB + 5);
    mapping.write([pattern(10_000)], 4095);
    await Promise.all([
      mapping.sync(4095, 10_000),
      mapping.sync(0, 1),
      mapping.sync(MIB + 4, 1),
      mapping.sync(0, MIB + 5),
      mapping.sync(7, 0),
    ]);
  });

  test('asks for huge pages from a position on, and takes that back', () => {
    const [file, mapping] = mapped(8 * MIB);
    file.allocate(MIB, 7 * MIB);
    const flags = (): (string | undefined)[] =>
      readFileSync('/proc/self/smaps', 'utf8')
        .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
        .filter((each) => each.split('\n')[0]?.endsWith(directory.file()))
        .map((each) => /VmFlags:.* (hg|nh)\b/.exec(each)?.[1]);
    // A kernel without any takes the advice for an error, and nothing comes of it.
    const kernelHasThem = existsSync('/sys/kernel/mm/transparent_hugepage');
    const areAdvised = (expected: (string | undefined)[]): void =>
      expect(flags()).toEqual(kernelHasThem ? expected : [undefined]);
    const range = mapping.length - HUGE_PAGE_BYTES;
    mapping.useHugePages(HUGE_PAGE_BYTES, true);
    areAdvised([undefined, 'hg']);
    mapping.useHugePages(2 * HUGE_PAGE_BYTES, false);
    areAdvised([undefined, 'hg', 'nh']);
    mapping.useHugePages(0, false);
    areAdvised(['nh']);
    mapping.useHugePages(HUGE_PAGE_BYTES, true);
    mapping.useHugePages(mapping.length, true);
    mapping.write([pattern(range)], HUGE_PAGE_BYTES);
    expect(readFileSync(directory.file()).subarray(HUGE_PAGE_BYTES).equals(pattern(range))).toBe(
      true,
    );
    for (const position of [4096, mapping.length + HUGE_PAGE_BYTES, -1]) {
      const thrown = thrownBy(() => mapping.useHugePages(position, true));
      expect(thrown).toMatchObject({ name: 'RangeError' });
    }
  });

  test('is unmapped twice without harm, and of no use afterwards', () => {
    const [, mapping] = mapped(MIB);
    expect(mappings()).toBe(1);
    mapping.unmap();
    mapping.unmap();
    expect(mappings()).toBe(0);
    expect(mapping.length).toBe(0);
    const uses: (() => unknown)[] = [
      () => mapping.write([Buffer.from('a')], 0),
      () => mapping.populate(0, 1),
      () => mapping.useHugePages(0, true),
      () => mapping.sync(0, 1),
    ];
    for (const use of uses) {
      expect(thrownBy(use)).toMatchObject({ code: 'EBADF', path: directory.file() });
      expect(thrownBy(use).message).toContain('the mapping is unmapped');
    }
  });

  test('keeps the memory until the jobs on it have ended', async () => {
    const [, mapping] = mapped(MIB);
    mapping.write([pattern(MIB)], 0);
    const pending = Promise.all([mapping.populate(0, MIB), mapping.sync(0, MIB)]);
    mapping.unmap();
    await pending;
    expect(mappings()).toBe(0);
    expect(readFileSync(directory.file()).equals(pattern(MIB))).toBe(true);
  });

  test('bounds the jobs that may wait', async () => {
    const file = createFile(native, directory.file(), Buffer.alloc(0));
    file.allocate(0, 32 * MIB);
    const mapping = file.map(32 * MIB, 'write');
    release.push(
      () => file.close(),
      () => mapping.unmap(),
    );
    const pending: Promise<number>[] = [];
    let refusal: unknown;
    while (refusal === undefined && pending.length < 200_000) {
      try {
        pending.push(mapping.populate(0, 32 * MIB));
      } catch (error) {
        refusal = error;
      }
    }
    expect(refusal).toMatchObject({
      code: 'EAGAIN',
      message: expect.stringContaining('jobs wait'),
    });
    // Beyond the end of the file there is nothing to do: the rest of the jobs takes no time.
    file.truncate(0);
    await Promise.all(pending);
    expect(await mapping.populate(0, MIB)).toBeGreaterThan(0);
  });

  test('refuses to write through a mapping for reading', () => {
    const [file, mapping] = mapped(MIB, 'read');
    expect(thrownBy(() => mapping.write([Buffer.from('a')], 0)).code).toBe('EACCES');
    expect(thrownBy(() => mapping.populate(0, 1)).code).toBe('EACCES');
    const reader = native.openFile(file.path, 'read');
    release.push(() => reader.close());
    expect(thrownBy(() => reader.map(MIB, 'write'))).toMatchObject({
      code: 'EACCES',
      syscall: 'mmap',
      path: file.path,
    });
  });

  test('refuses ranges beyond its length, and writes nothing of them', () => {
    const [file, mapping] = mapped(4096);
    const wrong: (() => unknown)[] = [
      () => mapping.write([Buffer.alloc(4097, 1)], 0),
      () => mapping.write([Buffer.alloc(4000, 1), Buffer.alloc(97, 1)], 0),
      () => mapping.write([Buffer.alloc(1, 1)], 4096),
      () => mapping.write([Buffer.alloc(1, 1)], Number.MAX_SAFE_INTEGER),
      () => mapping.populate(4096, 1),
      () => mapping.populate(1, 4096),
      () => mapping.sync(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    ];
    for (const use of wrong) {
      expect(thrownBy(use)).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
    const seen = Buffer.alloc(8192);
    file.read(seen, 0);
    expect(seen.every((byte) => byte === 0)).toBe(true);
    mapping.write([], 4096);
  });

  test('refuses arguments of the wrong type', () => {
    const [file, mapping] = mapped(4096);
    const wrong: (() => unknown)[] = [
      () => mapping.write({ length: 1, 0: Buffer.alloc(1) } as never, 0),
      () => mapping.write([Buffer.from('a'), undefined as never], 0),
      () => mapping.write([Buffer.from('a')], '0' as never),
      () => mapping.populate(undefined as never, 1),
      () => mapping.sync(0, null as never),
      () => Reflect.construct(mapping.constructor, [file]) as unknown,
      () => mapping.unmap.call(file as never),
    ];
    for (const use of wrong) {
      expect({ use: String(use), name: thrownBy(use).name }).toMatchObject({ name: 'TypeError' });
    }
  });
});
