import {
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writevSync,
} from 'node:fs';
import { promisify } from 'node:util';
import type { ByteRange, Native, NativeFile } from '@millrace/native';

/**
 * One open segment file. `NativeFile` has this shape already; {@link NodeFile} gives it on Node's
 * own API where the native module is missing.
 */
export interface StorageFile {
  readonly path: string;
  readonly fd: number;
  readonly closed: boolean;
  /** The native file behind this one; undefined on Node's own API. */
  readonly native: NativeFile | undefined;
  /** Length of the file in bytes. */
  size(): number;
  /** How many names the file has: 0 once it was removed or replaced, and where nobody counts. */
  links(): number;
  /**
   * Makes sure that `[position, position + length)` has disk blocks, extending the file.
   * @throws Error with code `ENOSPC`, the file as it was, when there are none.
   */
  allocate(position: number, length: number): void;
  /** Writes all bytes of `chunks`, one after another, at `position`. */
  write(chunks: readonly Uint8Array[], position: number): void;
  /** Fills `target` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(target: Uint8Array, position: number): number;
  /** Takes clean pages that lie wholly behind `position` out of the page cache, where that can be. */
  evict(position: number): void;
  /**
   * The first range at or after `position` that may hold other bytes than zeros; undefined when there is
   * none up to the end of the file. Where nobody keeps account of that, it is the whole rest.
   */
  nextData(position: number): ByteRange | undefined;
  truncate(length: number): void;
  /** Resolves when all data written before the call is on the device (`fdatasync`). */
  sync(): Promise<void>;
  /** Idempotent. Work under way finishes on its own reference. */
  close(): void;
}

export type FileAccess = 'read' | 'readwrite' | 'create';

/** Opens `path`; `create` fails with `EEXIST` when it is there, for a segment is never reused. */
export function openStorageFile(
  native: Native | undefined,
  path: string,
  access: FileAccess,
): StorageFile {
  return native === undefined
    ? new NodeFile(path, access)
    : new NativeStorageFile(native.openFile(path, access));
}

const fdatasyncAsync = promisify(fdatasync);
const nodeFlags = { read: 'r', readwrite: 'r+', create: 'wx+' } as const;

/** A file on the native module's descriptor. */
class NativeStorageFile implements StorageFile {
  readonly path: string;

  constructor(readonly native: NativeFile) {
    this.path = native.path;
  }

  get fd(): number {
    return this.native.fd;
  }

  get closed(): boolean {
    return this.native.closed;
  }

  size(): number {
    return this.native.size();
  }

  links(): number {
    return fstatSync(this.native.fd).nlink;
  }

  allocate(position: number, length: number): void {
    this.native.allocate(position, length);
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    this.native.write(chunks, position);
  }

  read(target: Uint8Array, position: number): number {
    return this.native.read(target, position);
  }

  evict(position: number): void {
    this.native.evict(position);
  }

  nextData(position: number): ByteRange | undefined {
    return this.native.nextData(position);
  }

  truncate(length: number): void {
    this.native.truncate(length);
  }

  sync(): Promise<void> {
    return this.native.sync();
  }

  close(): void {
    this.native.close();
  }
}

/** A file on Node's own API: no allocation ahead (a full disk shows at the write), no mapping. */
export class NodeFile implements StorageFile {
  readonly native = undefined;
  readonly fd: number;
  #closed = false;
  /** Syncs under way; the descriptor's number must not be reused while one is queued. */
  #syncs = 0;

  constructor(
    readonly path: string,
    access: FileAccess,
  ) {
    this.fd = openSync(path, nodeFlags[access], 0o644);
  }

  get closed(): boolean {
    return this.#closed;
  }

  size(): number {
    return fstatSync(this.fd).size;
  }

  links(): number {
    return fstatSync(this.fd).nlink;
  }

  allocate(): void {
    // Node has no fallocate(2); a sparse ftruncate would only pretend.
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    let pending = chunks;
    let at = position;
    while (pending.length > 0) {
      const written = writevSync(this.fd, pending, at);
      at += written;
      pending = dropBytes(pending, written);
    }
  }

  read(target: Uint8Array, position: number): number {
    let done = 0;
    while (done < target.length) {
      const count = readSync(this.fd, target, done, target.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  evict(): void {
    // Node has no posix_fadvise(2).
  }

  nextData(position: number): ByteRange | undefined {
    const end = this.size();
    return position < end ? { start: position, end } : undefined;
  }

  truncate(length: number): void {
    ftruncateSync(this.fd, length);
  }

  async sync(): Promise<void> {
    this.#syncs += 1;
    try {
      await fdatasyncAsync(this.fd);
    } finally {
      this.#syncs -= 1;
      if (this.#closed && this.#syncs === 0) closeSync(this.fd);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#syncs === 0) closeSync(this.fd);
  }
}

/** What is left of `chunks` after their first `count` bytes. */
function dropBytes(chunks: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skip = count;
  for (const [index, chunk] of chunks.entries()) {
    if (skip < chunk.length) return [chunk.subarray(skip), ...chunks.slice(index + 1)];
    skip -= chunk.length;
  }
  return [];
}
