import { execFileSync } from 'node:child_process';
import {
  existsSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { isNativeError, type NativeFile, type OpenFlags } from '@millrace/native';
import { createFile, describeNative, pattern, thrownBy, useDirectory } from './helpers.js';

const MIB = 1024 * 1024;

describeNative('NativeFile', (native) => {
  const directory = useDirectory();
  const opened: NativeFile[] = [];
  const keep = (file: NativeFile): NativeFile => {
    opened.push(file);
    return file;
  };
  const create = (content: Uint8Array = Buffer.alloc(0)): NativeFile =>
    keep(createFile(native, directory.file(), content));
  afterEach(() => {
    for (const file of opened.splice(0)) file.close();
  });

  test('is created once, and opened again for reading and writing', () => {
    const file = create(Buffer.from('abc'));
    expect(file.path).toBe(directory.file());
    expect(statSync(file.path).mode & 0o133).toBe(0);
    expect(thrownBy(() => native.openFile(file.path, 'create'))).toMatchObject({
      code: 'EEXIST',
      syscall: 'open',
      path: file.path,
      message: `EEXIST: file already exists, open '${file.path}'`,
    });
    const again = keep(native.openFile(file.path, 'readwrite'));
    again.write([Buffer.from('X')], 1);
    const reader = keep(native.openFile(file.path, 'read'));
    const target = Buffer.alloc(3);
    expect(reader.read(target, 0)).toBe(3);
    expect(target.toString()).toBe('aXc');
    expect(thrownBy(() => reader.write([Buffer.from('Y')], 0)).code).toBe('EBADF');
  });

  test('gives errors as Node does: code, negative errno, syscall and path', () => {
    const error = thrownBy(() => native.openFile(directory.file('missing'), 'read'));
    expect(error).toMatchObject({
      code: 'ENOENT',
      syscall: 'open',
      path: directory.file('missing'),
    });
    expect(error.errno).toBeLessThan(0);
    expect(isNativeError(error)).toBe(true);
    expect(isNativeError(new Error('other'))).toBe(false);
    expect(isNativeError(null)).toBe(false);
  });

  test('marks its descriptor close-on-exec', () => {
    const file = create();
    expect(readlinkSync(`/proc/self/fd/${file.fd}`)).toBe(file.path);
    const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${file.fd}`, 'utf8'));
    expect(parseInt(flags?.[1] ?? '0', 8) & 0o2000000).not.toBe(0);
  });

  test.each([0, 1, 31, 32, 33, 1024, 1025, 3000])('writes %i chunks in order', (count) => {
    const file = create();
    const chunks = Array.from({ length: count }, (_, i) => pattern((i % 7) * 4, i + 1));
    file.write(chunks, 5);
    const expected = Buffer.concat(chunks);
    expect(file.size()).toBe(expected.length === 0 ? 0 : expected.length + 5);
    expect(readFileSync(file.path).subarray(5).equals(expected)).toBe(true);
  });

  test('writes views of larger buffers as the bytes that they show', () => {
    const file = create();
    const whole = pattern(64);
    file.write([whole.subarray(8, 24), new Uint8Array(whole.buffer, whole.byteOffset + 40, 4)], 0);
    const expected = Buffer.concat([whole.subarray(8, 24), whole.subarray(40, 44)]);
    expect(readFileSync(file.path).equals(expected)).toBe(true);
  });

  test('reads short at the end of the file and nothing beyond it', () => {
    const file = create(pattern(100));
    const target = Buffer.alloc(64, 0xee);
    expect(file.read(target, 80)).toBe(20);
    expect(target.subarray(0, 20).equals(pattern(100).subarray(80))).toBe(true);
    expect(target.subarray(20).every((byte) => byte === 0xee)).toBe(true);
    expect(file.read(target, 100)).toBe(0);
    expect(file.read(target, 2 ** 40)).toBe(0);
    expect(file.read(Buffer.alloc(0), 0)).toBe(0);
  });

  test('allocates real blocks and extends the file', () => {
    const file = create();
    file.allocate(0, MIB);
    file.allocate(MIB, MIB);
    expect(file.size()).toBe(2 * MIB);
    expect(statSync(file.path).blocks * 512).toBeGreaterThanOrEqual(2 * MIB);
    file.truncate(10);
    expect(file.size()).toBe(10);
  });

  test('finds what was written in what was only allocated', () => {
    const file = create();
    expect(file.nextData(0)).toBeUndefined();
    file.allocate(0, 4 * MIB);
    expect(file.nextData(0)).toBeUndefined();
    file.write([Buffer.from('abc')], MIB + 5);
    file.write([Buffer.from('abc')], 3 * MIB);
    const { start, end } = file.nextData(0) ?? { start: -1, end: -1 };
    // Whole blocks or pages, or larger pieces, around it: how large is the filesystem's affair.
    expect(start).toBeLessThanOrEqual(MIB + 5);
    expect(end).toBeGreaterThanOrEqual(MIB + 8);
    expect(file.nextData(MIB + 6)?.start).toBe(MIB + 6);
    const next = file.nextData(end);
    if (end < 3 * MIB) expect(next?.start).toBeGreaterThan(MIB + 5);
    file.read(Buffer.alloc(4 * MIB), 0);
    file.evict(3 * MIB + 5);
    expect(file.nextData(4 * MIB - 1)).toBeUndefined();
    expect(file.nextData(4 * MIB)).toBeUndefined();
    expect(file.nextData(9 * MIB)).toBeUndefined();
  });

  test('leaves the size alone when the disk is full', () => {
    if (!existsSync('/dev/shm')) return;
    const { bsize, blocks } = statfsSync('/dev/shm');
    const path = `/dev/shm/millrace-test-${process.pid}`;
    const file = keep(createFile(native, path, pattern(4096)));
    try {
      const error = thrownBy(() => file.allocate(0, bsize * (blocks + 1024)));
      expect(error).toMatchObject({ code: 'ENOSPC', syscall: 'fallocate', path });
      expect(file.size()).toBe(4096);
    } finally {
      execFileSync('rm', ['-f', path]);
    }
  });

  test('meets the limit on file sizes as an error, not as a signal', () => {
    const code = `
      const native = require(process.argv[1]);
      const file = native.openFile(process.argv[2], 'create');
      file.allocate(0, 4096);
      for (const action of [() => file.allocate(0, 1 << 20), () => file.truncate(1 << 20)]) {
        try { action(); } catch (error) { console.log(error.code, error.syscall, file.size()); }
      }`;
    const script = 'ulimit -f 64 && exec "$0" -e "$1" "$2" "$3"';
    const args = ['-c', script, process.execPath, code, addonOf(), directory.file('limited')];
    expect(execFileSync('bash', args, { encoding: 'utf8' })).toBe(
      'EFBIG fallocate 4096\nEFBIG ftruncate 4096\n',
    );
  });

  test('syncs, and a sync that was asked for outlives close', async () => {
    const file = create(pattern(MIB));
    await file.sync();
    const pending = Promise.all([file.sync(), file.sync(), file.warm(0, MIB)]);
    file.close();
    await pending;
    expect(file.closed).toBe(true);
  });

  test('tells resident from cold, and warms', async () => {
    const file = create(pattern(MIB));
    expect(file.residency(0, MIB)).toBe('resident');
    expect(file.residency(0, 10 * MIB)).toBe('short');
    expect(file.residency(MIB, 1)).toBe('short');
    expect(file.residency(0, 0)).toBe('resident');
    expect(file.residency(MIB, 0)).toBe('resident');
    await file.sync();
    // Evicts the pages, where the filesystem has any other place for them.
    execFileSync('dd', [`of=${file.path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], {
      stdio: 'ignore',
    });
    expect(['cold', 'resident']).toContain(file.residency(0, MIB));
    await file.warm(0, 10 * MIB);
    expect(file.residency(0, MIB)).toBe('resident');
    expect(file.residency(4095, 2)).toBe('resident');
  });

  test('finds a hole cold, a written page of it resident, and both together cold', () => {
    const file = create();
    file.truncate(MIB);
    expect(file.residency(0, MIB)).toBe('cold');
    file.write([pattern(4096)], 8192);
    expect(file.residency(8192, 4096)).toBe('resident');
    expect(file.residency(8000, 4096)).toBe('cold');
  });

  test('asks for a byte of each 64 KiB as well, once a part was cold: more may be being read', () => {
    const file = create(pattern(MIB));
    const callsFor = (position: number, length: number): number => {
      const before = native.counters().residency.calls;
      expect(file.residency(position, length)).toBe('resident');
      return native.counters().residency.calls - before;
    };
    if (callsFor(0, MIB) > 1) return; // A kernel without cachestat: each page is asked for anyway.
    file.truncate(2 * MIB);
    expect(file.residency(0, 2 * MIB)).toBe('cold');
    callsFor(0, 1);
    if (callsFor(0, 1) === 1) return; // RWF_NOWAIT is refused here.
    // A byte of each 64 KiB and the last one.
    expect(callsFor(0, MIB)).toBe(1 + 17);
    expect(callsFor(65_535, 3)).toBe(1 + 3);
    expect(callsFor(7, 1)).toBe(1 + 1);
  });

  test('locks against other descriptions of the file until it is closed', () => {
    const file = create();
    const other = keep(native.openFile(file.path, 'readwrite'));
    expect(file.lock()).toBe(true);
    expect(file.lock()).toBe(true);
    expect(other.lock()).toBe(false);
    file.close();
    expect(other.lock()).toBe(true);
  });

  test('is closed twice without harm, and of no use afterwards', async () => {
    const file = create(pattern(10));
    const { fd } = file;
    file.close();
    file.close();
    expect(file).toMatchObject({ closed: true, fd: -1, path: directory.file() });
    expect(existsSync(`/proc/self/fd/${fd}`) && readlinkSync(`/proc/self/fd/${fd}`)).not.toBe(
      file.path,
    );
    const uses: (() => unknown)[] = [
      () => file.size(),
      () => file.allocate(0, 1),
      () => file.write([Buffer.from('a')], 0),
      () => file.read(Buffer.alloc(1), 0),
      () => file.truncate(0),
      () => file.sync(),
      () => file.residency(0, 1),
      () => file.warm(0, 1),
      () => file.lock(),
      () => file.map(1, 'read'),
    ];
    for (const use of uses) {
      const error = thrownBy(use);
      expect(error).toMatchObject({ code: 'EBADF', path: file.path });
      expect(error.message).toMatch(/^EBADF: the file is closed, \w+ '/);
    }
    await native.syncDirectory(directory.path);
  });

  test('syncs directories, and rejects what is none', async () => {
    await native.syncDirectory(directory.path);
    writeFileSync(directory.file('plain'), '');
    await expect(native.syncDirectory(directory.file('plain'))).rejects.toMatchObject({
      code: 'ENOTDIR',
      syscall: 'open',
      path: directory.file('plain'),
    });
    await expect(native.syncDirectory(directory.file('no'))).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  test('refuses arguments of the wrong type', () => {
    const file = create(pattern(10));
    const wrong: (() => unknown)[] = [
      () => native.openFile(undefined as never, 'read'),
      () => native.openFile(directory.file(), 'append' as OpenFlags),
      () => native.openFile(directory.file(), undefined as never),
      () => native.syncDirectory(7 as never),
      () => native.probeDirectory(null as never),
      () => file.allocate('0' as never, 1),
      () => file.allocate(0, undefined as never),
      () => file.allocate(0n as never, 1),
      () => file.write('text' as never, 0),
      () => file.write(Buffer.from('x') as never, 0),
      () => file.write([Buffer.from('x'), 'y' as never], 0),
      () => file.write([new Uint16Array(2) as never], 0),
      () => file.write([new DataView(new ArrayBuffer(2)) as never], 0),
      () => file.write(new Array<Uint8Array>(2 ** 32 - 1), 0),
      () => file.write([Buffer.from('x')], null as never),
      () => file.read(new ArrayBuffer(4) as never, 0),
      () => file.read(Buffer.alloc(1), {} as never),
      () => file.truncate(undefined as never),
      () => file.residency(0, '1' as never),
      () => file.warm([] as never, 1),
      () => file.map('1' as never, 'read'),
      () => file.map(1, 'execute' as never),
      () => Reflect.construct(file.constructor, []) as unknown,
      () => Reflect.construct(file.constructor, [{}]) as unknown,
      () => file.size.call({} as never),
    ];
    for (const use of wrong) {
      expect({ use: String(use), name: thrownBy(use).name }).toMatchObject({ name: 'TypeError' });
    }
    expect(file.size()).toBe(10);
  });

  test.each([-1, 0.5, NaN, Infinity, -Infinity, 2 ** 53])('refuses %d as a number', (value) => {
    const file = create(pattern(10));
    const wrong: (() => unknown)[] = [
      () => file.allocate(value, 1),
      () => file.allocate(0, value),
      () => file.write([Buffer.from('x')], value),
      () => file.read(Buffer.alloc(1), value),
      () => file.truncate(value),
      () => file.residency(value, 1),
      () => file.residency(0, value),
      () => file.warm(value, 1),
      () => file.warm(0, value),
      () => file.map(value, 'read'),
      () => native.socketWriter(value),
    ];
    for (const use of wrong) {
      expect(thrownBy(use)).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
    expect(file.size()).toBe(10);
  });

  test('refuses empty ranges where there is nothing to do, and misleading paths', () => {
    const file = create();
    expect(thrownBy(() => file.allocate(0, 0)).name).toBe('RangeError');
    expect(thrownBy(() => file.map(0, 'read')).name).toBe('RangeError');
    expect(thrownBy(() => native.openFile('', 'read')).name).toBe('RangeError');
    expect(thrownBy(() => native.openFile('a\0b', 'read')).name).toBe('RangeError');
  });

  test('passes on what the kernel says to the largest numbers', () => {
    const file = create();
    const most = Number.MAX_SAFE_INTEGER;
    expect(thrownBy(() => file.allocate(most, most)).code).toMatch(/^E/);
    expect(thrownBy(() => file.map(most, 'read')).code).toBe('ENOMEM');
    expect(file.residency(most, most)).toBe('short');
    expect(file.size()).toBe(0);
  });

  function addonOf(): string {
    return new URL('../../native/build/Release/millrace_native.node', import.meta.url).pathname;
  }
});
