import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { afterEach, expect, test } from '@jest/globals';
import type { Mapping, NativeFile, SocketWriter } from '@millrace/native';
import {
  createFile,
  describeNative,
  pattern,
  thrownBy,
  useDirectory,
  useSockets,
} from './helpers.js';

const MIB = 1024 * 1024;

describeNative('SocketWriter, refusing', (native) => {
  const directory = useDirectory();
  const sockets = useSockets();
  const release: (() => void)[] = [];
  afterEach(() => {
    for (const action of release.splice(0)) action();
  });
  function writerFor(fd: number): SocketWriter {
    const writer = native.socketWriter(fd);
    release.push(() => writer.close());
    return writer;
  }
  function stored(content: Buffer): [NativeFile, Mapping] {
    const file = createFile(native, directory.file(), content);
    const mapping = file.map(content.length, 'read');
    release.push(
      () => file.close(),
      () => mapping.unmap(),
    );
    return [file, mapping];
  }
  test('says so when the file ends before the region', async () => {
    const [file] = stored(pattern(1000));
    const wide = file.map(MIB, 'read');
    release.push(() => wide.unmap());
    const { fd } = await sockets.pair();
    const writer = writerFor(fd);
    expect(writer.sendFile(file, 500, 501)).toBe(500);
    expect(writer.sendCopied(file, 500, 501, false)).toBe(500);
    expect(thrownBy(() => writer.sendFile(file, 1000, 1))).toMatchObject({
      code: 'ENODATA',
      syscall: 'sendfile',
      path: file.path,
    });
    expect(thrownBy(() => writer.sendCopied(file, 1000, 1, false))).toMatchObject({
      code: 'ENODATA',
      syscall: 'pread',
      path: file.path,
    });
    expect(thrownBy(() => writer.sendMapped(wide, 8192, 1, false))).toMatchObject({
      code: 'EIO',
      syscall: 'send',
      path: file.path,
    });
  });

  test('refuses what is no stream socket', () => {
    const plain = openSync('/dev/null', 'r');
    expect(thrownBy(() => native.socketWriter(plain)).code).toBe('ENOTSOCK');
    closeSync(plain);
    expect(thrownBy(() => native.socketWriter(1_000_000)).code).toBe('EBADF');
    expect(thrownBy(() => native.socketWriter(2 ** 31)).name).toBe('RangeError');
    expect(thrownBy(() => native.socketWriter('3' as never)).name).toBe('TypeError');
  });

  test('refuses datagram sockets', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { fd } = (socket as unknown as Record<symbol, { handle: { fd: number } }>)[
      Object.getOwnPropertySymbols(socket).find((key) => key.description === 'state symbol') ??
        Symbol.iterator
    ]?.handle ?? { fd: -1 };
    expect(fd).toBeGreaterThan(0);
    expect(thrownBy(() => native.socketWriter(fd)).code).toBe('EPROTOTYPE');
    socket.close();
  });

  test('is of no use once closed, nor are closed files and mappings', async () => {
    const [file, mapping] = stored(pattern(100));
    const { fd } = await sockets.pair();
    const [writer, other] = [writerFor(fd), writerFor(fd)];
    writer.close();
    const uses: (() => unknown)[] = [
      () => writer.send([Buffer.from('a')], 0, false),
      () => writer.sendFile(file, 0, 1),
      () => writer.sendMapped(mapping, 0, 1, false),
      () => writer.sendCopied(file, 0, 1, false),
      () => writer.onceWritable(() => undefined),
    ];
    for (const use of uses) expect(thrownBy(use).message).toMatch(/writer is closed/);
    file.close();
    mapping.unmap();
    expect(thrownBy(() => other.sendFile(file, 0, 1)).message).toMatch(/file is closed/);
    expect(thrownBy(() => other.sendCopied(file, 0, 1, false)).code).toBe('EBADF');
    expect(thrownBy(() => other.sendMapped(mapping, 0, 1, false)).code).toBe('EBADF');
  });

  test('refuses arguments of the wrong type or range', async () => {
    const [file, mapping] = stored(pattern(100));
    const { fd } = await sockets.pair();
    const writer = writerFor(fd);
    const types: (() => unknown)[] = [
      () => writer.send('a' as never, 0, false),
      () => writer.send([1 as never], 0, false),
      () => writer.send([], '0' as never, false),
      () => writer.send([], 0, undefined as never),
      () => writer.sendFile(mapping as never, 0, 1),
      () => writer.sendFile({} as never, 0, 1),
      () => writer.sendFile(Object.create(file) as never, 0, 1),
      () => writer.sendFile(file, undefined as never, 1),
      () => writer.sendMapped(file as never, 0, 1, false),
      () => writer.sendMapped(null as never, 0, 1, false),
      () => writer.sendMapped(mapping, 0, 1, 1 as never),
      () => writer.sendCopied(writer as never, 0, 1, false),
      () => writer.sendCopied(file, 0, 1, 'no' as never),
      () => writer.onceWritable(undefined as never),
      () => Reflect.construct(writer.constructor, [fd]) as unknown,
    ];
    for (const use of types) {
      expect({ use: String(use), name: thrownBy(use).name }).toMatchObject({ name: 'TypeError' });
    }
    const ranges: (() => unknown)[] = [
      () => writer.send([Buffer.from('ab')], 3, false),
      () => writer.send([], -1, false),
      () => writer.sendFile(file, -1, 1),
      () => writer.sendFile(file, 0, 0.5),
      () => writer.sendMapped(mapping, 100, 1, false),
      () => writer.sendMapped(mapping, 0, Number.MAX_SAFE_INTEGER, false),
      () => writer.sendCopied(file, NaN, 1, false),
    ];
    for (const use of ranges) {
      expect({ use: String(use), name: thrownBy(use).name }).toMatchObject({ name: 'RangeError' });
    }
  });
});
