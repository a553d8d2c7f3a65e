import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import type { Mapping, NativeFile, SocketWriter } from '@millrace/native';
import {
  createFile,
  describeNative,
  pattern,
  readBytes,
  sha256,
  thrownBy,
  useDirectory,
  useSockets,
} from './helpers.js';

const MIB = 1024 * 1024;
/** More than the buffers of both ends take, so that every strategy meets a full socket. */
const REGION_BYTES = 24 * MIB + 12_345;

describeNative('SocketWriter', (native) => {
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
  /** Sends until the socket is full. */
  function fill(writer: SocketWriter): number {
    const chunk = Buffer.alloc(MIB);
    let sent = 0;
    for (;;) {
      const taken = writer.send([chunk], 0, false);
      sent += taken;
      if (taken < MIB) return sent;
    }
  }
  const writable = (writer: SocketWriter): Promise<void> =>
    new Promise((resolve) => writer.onceWritable(resolve));
  async function drain(far: Socket, bytes: number): Promise<void> {
    let left = bytes;
    far.on('data', (chunk: Buffer) => (left -= chunk.length)).resume();
    while (left > 0) await once(far, 'data');
    far.removeAllListeners('data').pause();
  }

  type Send = (
    writer: SocketWriter,
    from: [NativeFile, Mapping],
    at: number,
    left: number,
  ) => number;
  const strategies: [string, Send][] = [
    ['sendFile', (writer, [file], at, left) => writer.sendFile(file, at, left)],
    ['sendMapped', (writer, [, mapping], at, left) => writer.sendMapped(mapping, at, left, false)],
    ['sendCopied', (writer, [file], at, left) => writer.sendCopied(file, at, left, false)],
    [
      'sends with MSG_MORE',
      (writer, [file, mapping], at, left) =>
        left > 1000
          ? writer.sendMapped(mapping, at, left - 1000, true)
          : writer.sendCopied(file, at, left, false),
    ],
  ];

  test.each(strategies)('%s gives a slow reader the same bytes', async (_name, send) => {
    const content = pattern(REGION_BYTES);
    const from = stored(content);
    const { far, fd } = await sockets.pair();
    const writer = writerFor(fd);
    let waits = 0;
    const sending = (async () => {
      let sent = writer.send([Buffer.from('head'), Buffer.from('er')], 1, true);
      expect(sent).toBe(5);
      sent = 0;
      while (sent < REGION_BYTES) {
        const taken = send(writer, from, sent, REGION_BYTES - sent);
        sent += taken;
        if (taken > 0) continue;
        waits += 1;
        await writable(writer);
      }
      expect(sent).toBe(REGION_BYTES);
    })();
    // The reader starts only once the sender had to wait.
    while (waits === 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await readBytes(far, 5)).toString()).toBe('eader');
    expect(sha256(await readBytes(far, REGION_BYTES))).toBe(sha256(content));
    await sending;
    expect(far.readableLength).toBe(0);
  });

  test('sends parts of regions from anywhere, and empty ones as nothing', async () => {
    const content = pattern(MIB);
    const [file, mapping] = stored(content);
    const { far, fd } = await sockets.pair();
    const writer = writerFor(fd);
    expect(writer.sendFile(file, 1001, 999)).toBe(999);
    expect(writer.sendMapped(mapping, 5000, 1, false)).toBe(1);
    expect(writer.sendCopied(file, MIB - 3, 3, false)).toBe(3);
    expect(writer.sendFile(file, 7, 0)).toBe(0);
    expect(writer.sendMapped(mapping, MIB, 0, false)).toBe(0);
    expect(writer.sendCopied(file, 2 * MIB, 0, false)).toBe(0);
    expect(writer.send([], 0, false)).toBe(0);
    expect(writer.send([Buffer.alloc(0), Buffer.alloc(0)], 0, false)).toBe(0);
    const expected = [content.subarray(1001, 2000), content.subarray(5000, 5001)];
    expected.push(content.subarray(MIB - 3));
    expect((await readBytes(far, 1003)).equals(Buffer.concat(expected))).toBe(true);
  });

  test.each([0, 1, 999, 1000, 1001, 49_999, 50_000])('skips %i bytes of chunks', async (skip) => {
    const bytes = pattern(50_000);
    const cut: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 25) cut.push(bytes.subarray(at, at + 25));
    const { far, fd } = await sockets.pair();
    const writer = writerFor(fd);
    expect(writer.send(cut, skip, false)).toBe(bytes.length - skip);
    expect((await readBytes(far, bytes.length - skip)).equals(bytes.subarray(skip))).toBe(true);
    expect(thrownBy(() => writer.send(cut, 50_001, false)).name).toBe('RangeError');
  });

  test('calls back once, when the reader has made room', async () => {
    const { far, fd } = await sockets.pair();
    const writer = writerFor(fd);
    const sent = fill(writer);
    let calls = 0;
    const called = new Promise<void>((resolve) => {
      writer.onceWritable(() => {
        calls += 1;
        resolve();
      });
    });
    expect(thrownBy(() => writer.onceWritable(() => undefined))).toMatchObject({
      code: 'EALREADY',
      syscall: 'onceWritable',
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(0);
    await drain(far, sent);
    await called;
    await writable(writer);
    expect(calls).toBe(1);
  });

  test('runs microtasks after its callback, before anything else', async () => {
    const { fd } = await sockets.pair();
    const writer = writerFor(fd);
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      writer.onceWritable(() => {
        process.nextTick(() => order.push('tick'));
        void Promise.resolve().then(() => order.push('microtask'));
        setImmediate(() => resolve());
        order.push('callback');
      });
    });
    expect(order).toEqual(['callback', 'tick', 'microtask']);
  });

  test('can be armed again, and closed, in the callback', async () => {
    const { fd } = await sockets.pair();
    const writer = writerFor(fd);
    let rounds = 0;
    await new Promise<void>((resolve) => {
      const again = (): void => {
        rounds += 1;
        if (rounds < 5) {
          writer.onceWritable(again);
        } else {
          writer.close();
          resolve();
        }
      };
      writer.onceWritable(again);
    });
    expect(rounds).toBe(5);
    expect(thrownBy(() => writer.onceWritable(() => undefined)).code).toBe('EBADF');
  });

  test('does not call back any more when it was closed while armed', async () => {
    const { far, fd } = await sockets.pair();
    const writer = writerFor(fd);
    const sent = fill(writer);
    let calls = 0;
    writer.onceWritable(() => (calls += 1));
    writer.close();
    writer.close();
    await drain(far, sent);
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(0);
  });

  test('leaves the socket to Node when it is closed', async () => {
    const { near, far, fd } = await sockets.pair();
    const before = readlinkSync(`/proc/self/fd/${fd}`);
    const writer = writerFor(fd);
    await writable(writer);
    writer.send([Buffer.from('native ')], 0, false);
    writer.close();
    near.end('node');
    expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe(before);
    expect((await readBytes(far, 11)).toString()).toBe('native node');
    far.resume();
    await once(far, 'end');
  });

  test('calls back when the peer resets, and the next send says so', async () => {
    const { far, fd } = await sockets.pair();
    const writer = writerFor(fd);
    fill(writer);
    const called = writable(writer);
    far.resetAndDestroy();
    await called;
    expect(['EPIPE', 'ECONNRESET']).toContain(thrownBy(() => fill(writer)).code);
    expect(thrownBy(() => fill(writer))).toMatchObject({ code: 'EPIPE', syscall: 'sendmsg' });
    const [file, mapping] = stored(pattern(100));
    expect(thrownBy(() => writer.sendFile(file, 0, 100))).toMatchObject({
      code: 'EPIPE',
      syscall: 'sendfile',
      path: file.path,
    });
    expect(thrownBy(() => writer.sendMapped(mapping, 0, 100, false)).code).toBe('EPIPE');
    expect(thrownBy(() => writer.sendCopied(file, 0, 100, false)).syscall).toBe('send');
  });

  test('does not take a peer that ended its own sending for one that is gone', async () => {
    const { near, far, fd } = await sockets.pair();
    const writer = writerFor(fd);
    const sent = fill(writer);
    near.resume();
    far.end();
    await once(near, 'end');
    let calls = 0;
    writer.onceWritable(() => (calls += 1));
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(0);
    await drain(far, sent);
    while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(1);
  });
});
