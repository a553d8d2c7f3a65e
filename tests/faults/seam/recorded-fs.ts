import * as real from 'node:fs';
import type { Fault } from './recorder.js';
import { recordSync } from './recorded-native.js';
import { noteOpen } from './recorded-promises.js';
import { recorder, writtenBytes } from './recorder.js';

type Callback = (error?: Error | null) => void;

const pathOf = (fd: number): string => real.readlinkSync(`/proc/self/fd/${fd}`);

const calls = {
  openSync: (path: string, flags = 'r', mode?: number): number => {
    const fault = recorder.before('open', path);
    const fd = real.openSync(path, flags, mode);
    noteOpen(path, flags);
    recorder.opened(path, fd);
    if (fault !== undefined) calls.closeSync(fd);
    recorder.after(fault, 'open', path);
    return fd;
  },
  closeSync: (fd: number): void => {
    recorder.closed(fd);
    real.closeSync(fd);
  },
  mkdirSync: (path: string): void =>
    change('mkdir', path, () => {
      real.mkdirSync(path);
      recorder.made(path, 'directory');
    }),
  unlinkSync: (path: string): void =>
    change('unlink', path, () => {
      real.unlinkSync(path);
      recorder.removed(path);
    }),
  ftruncateSync: (fd: number, length: number): void =>
    change('ftruncate', pathOf(fd), () => {
      real.ftruncateSync(fd, length);
      recorder.resized(recorder.nodeOf(fd), length);
    }),
  writevSync: (fd: number, chunks: readonly Uint8Array[], position: number): number =>
    write(fd, Buffer.concat(chunks), position),
  writeSync: (fd: number, bytes: Buffer, offset = 0, length = bytes.length - offset): number => {
    const node = recorder.nodeOf(fd);
    const position = node === undefined ? null : recorder.sizeOf(node);
    return write(fd, bytes.subarray(offset, offset + length), position);
  },
  writeFileSync: (path: string, content: string | Buffer): void => {
    const fd = calls.openSync(path, 'w', 0o644);
    try {
      const bytes = Buffer.from(content as string);
      for (let done = 0; done < bytes.length;) done += calls.writeSync(fd, bytes, done);
    } finally {
      calls.closeSync(fd);
    }
  },
  fsyncSync: (fd: number): void => syncNow(fd, 'fsync', real.fsyncSync),
  fdatasyncSync: (fd: number): void => syncNow(fd, 'fdatasync', real.fdatasyncSync),
  fsync: (fd: number, done: Callback): void => syncLater(fd, 'fsync', real.fsync, done),
  fdatasync: (fd: number, done: Callback): void => syncLater(fd, 'fdatasync', real.fdatasync, done),
  createWriteStream: (path: string): real.WriteStream =>
    real.createWriteStream(path, { fs: streamCalls }),
};

/** Node's calls on files, with what they do to files noted; reads go through as they are. */
export const recordedFs: object = { ...real, ...calls };

/** What a stream that writes calls. */
const streamCalls = {
  open: (path: string, flags: string, mode: number, done: (...found: unknown[]) => void): void => {
    try {
      done(null, calls.openSync(path, flags, mode));
    } catch (error) {
      done(error);
    }
  },
  write: (
    fd: number,
    bytes: Buffer,
    offset: number,
    length: number,
    _position: number | undefined,
    done: (...found: unknown[]) => void,
  ): void => {
    try {
      done(null, calls.writeSync(fd, bytes, offset, length), bytes);
    } catch (error) {
      done(error);
    }
  },
  close: (fd: number, done: Callback): void => {
    calls.closeSync(fd);
    done();
  },
};

function change(syscall: string, path: string, make: () => void): void {
  const fault = recorder.before(syscall, path);
  make();
  recorder.after(fault, syscall, path);
}

function write(fd: number, bytes: Buffer, position: number | null): number {
  const fault: Fault | undefined = recorder.before('write', pathOf(fd));
  const done = bytes.subarray(0, writtenBytes(bytes.length, fault));
  real.writeSync(fd, done, 0, done.length, position);
  recorder.wrote(recorder.nodeOf(fd), position ?? 0, done);
  recorder.after(fault, 'write', pathOf(fd));
  return done.length;
}

function syncNow(fd: number, syscall: string, sync: (fd: number) => void): void {
  const ended = recorder.syncing(recorder.nodeOf(fd));
  try {
    recorder.after(recorder.before(syscall, pathOf(fd)), syscall, pathOf(fd));
    sync(fd);
  } catch (error) {
    ended(true);
    throw error;
  }
  ended(false);
}

function syncLater(
  fd: number,
  syscall: string,
  sync: (fd: number, done: Callback) => void,
  done: Callback,
): void {
  const synced = (): Promise<void> =>
    new Promise((resolve, reject) => {
      sync(fd, (error) => (error ? reject(error) : resolve()));
    });
  recordSync(recorder.nodeOf(fd), syscall, pathOf(fd), undefined, synced).then(
    () => done(null),
    (error: unknown) => done(error as Error),
  );
}
