import * as fs from 'node:fs';
import * as real from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Fault } from './recorder.js';
import { recordSync } from './recorded-native.js';
import { recorder, writtenBytes } from './recorder.js';

type Flag = string | number | undefined;

const onDescriptor = {
  read: promisify(fs.read),
  write: promisify(fs.write),
  stat: promisify(fs.fstat),
  sync: promisify(fs.fsync),
  datasync: promisify(fs.fdatasync),
  close: promisify(fs.close),
};

/**
 * Node's promises of files, with what they do to files noted; reads go through as they are. What changes
 * names is done at once, not on a thread: it is noted in the order in which it happened.
 */
export const recordedPromises = {
  ...real,
  open: async (path: string, flags: Flag = 'r', mode?: number): Promise<RecordedHandle> => {
    const fault = await beforeOpen(path);
    const fd = fs.openSync(path, flags, mode);
    noteOpen(path, flags);
    recorder.opened(path, fd);
    const handle = new RecordedHandle(fd, path);
    if (fault !== undefined) await handle.close();
    recorder.after(fault, 'open', path);
    return handle;
  },
  rename: (from: string, to: string): Promise<void> =>
    change(
      'rename',
      from,
      () => fs.renameSync(from, to),
      () => recorder.moved(from, to),
    ),
  link: (from: string, to: string): Promise<void> =>
    change(
      'link',
      from,
      () => fs.linkSync(from, to),
      () => recorder.linked(from, to),
    ),
  unlink: (path: string): Promise<void> =>
    change(
      'unlink',
      path,
      () => fs.unlinkSync(path),
      () => recorder.removed(path),
    ),
  mkdir: (path: string, mode?: number): Promise<void> =>
    change(
      'mkdir',
      path,
      () => fs.mkdirSync(path, mode),
      () => recorder.made(path, 'directory'),
    ),
  rm: async (path: string, options: { recursive?: boolean; force?: boolean }): Promise<void> => {
    if (recorder.within(path) === undefined) await real.rm(path, options);
    else await removeTree(path, options.force === true);
  },
  writeFile: async (
    path: string,
    content: string | Buffer,
    { flag = 'w', mode = 0o644 }: { flag?: string; mode?: number } = {},
  ): Promise<void> => {
    const handle = await recordedPromises.open(path, flag, mode);
    try {
      await handle.writeFile(content);
    } finally {
      await handle.close();
    }
  },
};

/** Faults come in a later turn, as those of a thread pool do. */
async function beforeOpen(path: string): Promise<Fault | undefined> {
  return Promise.resolve().then(() => recorder.before('open', path));
}

export function noteOpen(path: string, flags: Flag): void {
  if (typeof flags !== 'string' || flags.startsWith('r')) return;
  recorder.made(path, 'file');
  if (flags.startsWith('w')) recorder.resized(recorder.nodeAt(path), 0);
}

async function change(
  syscall: string,
  path: string,
  make: () => unknown,
  note: () => void,
): Promise<void> {
  const fault = await Promise.resolve().then(() => recorder.before(syscall, path));
  make();
  note();
  recorder.after(fault, syscall, path);
}

/** Name by name, as `rm` does it. */
async function removeTree(path: string, force: boolean): Promise<void> {
  const found = await real.lstat(path).catch(() => undefined);
  if (found === undefined && force) return;
  if (found?.isDirectory() !== true) {
    await recordedPromises.unlink(path);
    return;
  }
  for (const name of await real.readdir(path)) await removeTree(join(path, name), force);
  await change(
    'rmdir',
    path,
    () => fs.rmdirSync(path),
    () => recorder.removed(path),
  );
}

/** What the storage uses of an open file. */
class RecordedHandle {
  /** Where `writeFile` goes on. */
  #position: number;
  readonly #node: number | undefined;

  constructor(
    readonly fd: number,
    private readonly path: string,
  ) {
    this.#node = recorder.nodeOf(fd);
    this.#position = this.#node === undefined ? 0 : recorder.sizeOf(this.#node);
  }

  stat(): Promise<fs.Stats> {
    return onDescriptor.stat(this.fd);
  }

  read(target: Buffer, offset: number, length: number, position: number): Promise<unknown> {
    return onDescriptor.read(this.fd, target, offset, length, position);
  }

  async write(
    bytes: Buffer,
    offset = 0,
    length = bytes.length - offset,
    position: number | null = null,
  ): Promise<{ bytesWritten: number }> {
    const fault = await Promise.resolve().then(() => recorder.before('write', this.path));
    const done = bytes.subarray(offset, offset + writtenBytes(length, fault));
    const at = position ?? this.#position;
    await onDescriptor.write(this.fd, done, 0, done.length, at);
    recorder.wrote(this.#node, at, done);
    if (position === null) this.#position += done.length;
    recorder.after(fault, 'write', this.path);
    return { bytesWritten: done.length };
  }

  /** Node goes on after a short write. */
  async writeFile(content: string | Buffer): Promise<void> {
    const bytes = Buffer.from(content as string);
    let done = 0;
    while (done < bytes.length) done += (await this.write(bytes, done)).bytesWritten;
  }

  sync(): Promise<void> {
    return recordSync(this.#node, 'fsync', this.path, undefined, () => onDescriptor.sync(this.fd));
  }

  datasync(): Promise<void> {
    return recordSync(this.#node, 'fdatasync', this.path, undefined, () =>
      onDescriptor.datasync(this.fd),
    );
  }

  async close(): Promise<void> {
    recorder.closed(this.fd);
    await onDescriptor.close(this.fd);
  }
}
