import { expect, test } from '@jest/globals';
import type { NativeCounters, SyscallKind } from '@millrace/native';
import {
  createFile,
  describeNative,
  pattern,
  thrownBy,
  useDirectory,
  useSockets,
} from './helpers.js';

const MIB = 1024 * 1024;

describeNative('counters', (native) => {
  const directory = useDirectory();
  const sockets = useSockets();

  /** What the action adds, kinds that it does not touch left out. */
  async function added(action: () => unknown): Promise<Record<string, unknown>> {
    const before = native.counters();
    await action();
    const after = native.counters();
    const result: Record<string, unknown> = {};
    for (const key of Object.keys(after) as (keyof NativeCounters)[]) {
      const [old, now] = [before[key], after[key]];
      if (typeof old === 'number' || typeof now === 'number') {
        if (now !== old) result[key] = (now as number) - (old as number);
      } else if (now.calls !== old.calls) {
        result[key] = [now.calls - old.calls, now.bytes - old.bytes];
      }
    }
    return result;
  }

  test('count calls and bytes of each kind', async () => {
    const file = native.openFile(directory.file(), 'create');
    const expectAdded = async (action: () => unknown, expected: object): Promise<void> =>
      expect(await added(action)).toEqual(expected);

    await expectAdded(() => file.allocate(0, MIB), { fallocate: [1, MIB] });
    await expectAdded(() => file.write([pattern(8), pattern(12)], 0), { pwritev: [1, 20] });
    await expectAdded(
      () =>
        file.write(
          Array.from({ length: 1025 }, () => pattern(4)),
          0,
        ),
      {
        pwritev: [2, 4100],
      },
    );
    await expectAdded(() => file.read(Buffer.alloc(100), 0), { pread: [1, 100] });
    await expectAdded(() => file.truncate(MIB / 2), { ftruncate: [1, 0] });
    await expectAdded(() => file.sync(), { fdatasync: [1, 0] });
    await expectAdded(() => native.syncDirectory(directory.path), { fsync: [1, 0] });
    const mapping = file.map(MIB, 'write');
    await expectAdded(() => file.map(MIB, 'read').unmap(), { mmap: [1, MIB], munmap: [1, MIB] });
    await expectAdded(() => mapping.write([pattern(300)], 0), { copiedBytes: 300 });
    await expectAdded(() => mapping.sync(0, 300), { msync: [1, 300] });
    await expectAdded(() => mapping.unmap(), { munmap: [1, MIB] });
    await expectAdded(() => file.close(), {});
  });

  test('count what the pools do', async () => {
    const file = createFile(native, directory.file(), pattern(MIB));
    const mapping = file.map(MIB, 'write');
    expect(await added(() => mapping.populate(0, MIB))).toMatchObject({
      madvise: [1, expect.any(Number)],
    });
    const warmed = await added(() => file.warm(0, MIB));
    expect(Object.keys(warmed)).toContain('madvise' in warmed ? 'madvise' : 'pread');
    const probed = await added(() => file.residency(0, MIB));
    expect(Object.keys(probed)).toEqual(['residency']);
    mapping.unmap();
    file.close();
  });

  test('count sends, and how often a socket was full', async () => {
    const file = createFile(native, directory.file(), pattern(MIB));
    const mapping = file.map(MIB, 'read');
    const { fd } = await sockets.pair();
    const writer = native.socketWriter(fd);
    const calls = Math.ceil(MIB / 8 / native.sendChunkBytes);
    const length = MIB / 8;
    expect(await added(() => writer.send([pattern(8)], 0, false))).toEqual({ sendmsg: [1, 8] });
    expect(await added(() => writer.sendFile(file, 0, length))).toEqual({
      sendfile: [calls, length],
    });
    expect(await added(() => writer.sendMapped(mapping, 0, length, false))).toEqual({
      send: [calls, length],
    });
    expect(await added(() => writer.sendCopied(file, 0, length, false))).toEqual({
      pread: [calls, length],
      send: [calls, length],
    });
    const full = await added(() => {
      while (writer.sendFile(file, 0, MIB) > 0);
    });
    expect(full['wouldBlock']).toBeGreaterThan(0);
    expect(full).not.toHaveProperty('failures');
    writer.close();
    mapping.unmap();
    file.close();
  });

  test('count failures of both sides, and no mistakes of the caller', async () => {
    expect(
      await added(() => thrownBy(() => native.openFile(directory.file('no'), 'read'))),
    ).toEqual({ failures: 1 });
    expect(
      await added(() => native.syncDirectory(directory.file('no')).catch(() => undefined)),
    ).toEqual({ failures: 1 });
    const file = native.openFile(directory.file(), 'create');
    file.close();
    expect(await added(() => thrownBy(() => file.size()))).toEqual({});
  });

  test('have every kind that the types name', () => {
    const kinds: Record<SyscallKind, true> = {
      pwritev: true,
      pread: true,
      sendfile: true,
      send: true,
      sendmsg: true,
      fallocate: true,
      ftruncate: true,
      mmap: true,
      munmap: true,
      msync: true,
      fdatasync: true,
      fsync: true,
      madvise: true,
      residency: true,
    };
    const sums = ['copiedBytes', 'wouldBlock', 'failures'];
    expect(Object.keys(native.counters()).sort()).toEqual([...Object.keys(kinds), ...sums].sort());
  });
});
