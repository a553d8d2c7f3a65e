import type { ByteRange, Mapping, Native, NativeFile, Residency } from '@millrace/native';
import { recorder } from './recorder.js';

/** The native module, with what it does to files noted. */
export function recordNative(native: Native): Native {
  return {
    ...native,
    sendChunkBytes: native.sendChunkBytes,
    socketWriter: (fd) => native.socketWriter(fd),
    counters: () => native.counters(),
    probeDirectory: (path) => native.probeDirectory(path),
    openFile: (path, flags) => {
      const fault = recorder.before('open', path);
      const file = native.openFile(path, flags);
      if (flags === 'create') recorder.made(path, 'file');
      if (fault !== undefined) file.close();
      recorder.after(fault, 'open', path);
      return new RecordedNativeFile(file);
    },
    syncDirectory: (path) =>
      recordSync(recorder.nodeAt(path), 'fsync', path, undefined, () => native.syncDirectory(path)),
  };
}

class RecordedNativeFile implements NativeFile {
  readonly path: string;
  readonly #node: number | undefined;

  constructor(private readonly file: NativeFile) {
    this.path = file.path;
    this.#node = recorder.nodeAt(file.path);
  }

  get fd(): number {
    return this.file.fd;
  }

  get closed(): boolean {
    return this.file.closed;
  }

  size(): number {
    return this.file.size();
  }

  close(): void {
    this.file.close();
  }

  allocate(position: number, length: number): void {
    const fault = recorder.before('fallocate', this.path);
    if (fault !== undefined) recorder.after({ ...fault, how: 'after' }, 'fallocate', this.path);
    this.file.allocate(position, length);
    recorder.resized(this.#node, this.file.size());
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    const fault = recorder.before('pwritev', this.path);
    const bytes = Buffer.concat(chunks);
    // The module itself continues a short write: what is left of that is one that ends in an error.
    const done = fault?.how === 'part' ? bytes.subarray(0, bytes.length / 2) : bytes;
    this.file.write([done], position);
    recorder.wrote(this.#node, position, done);
    recorder.after(fault, 'pwritev', this.path);
  }

  read(target: Uint8Array, position: number): number {
    return this.file.read(target, position);
  }

  evict(position: number): void {
    this.file.evict(position);
  }

  nextData(position: number): ByteRange | undefined {
    return this.file.nextData(position);
  }

  truncate(length: number): void {
    const fault = recorder.before('ftruncate', this.path);
    this.file.truncate(length);
    recorder.resized(this.#node, length);
    recorder.after(fault, 'ftruncate', this.path);
  }

  sync(): Promise<void> {
    return recordSync(this.#node, 'fdatasync', this.path, undefined, () => this.file.sync());
  }

  residency(position: number, length: number): Residency {
    return this.file.residency(position, length);
  }

  warm(position: number, length: number): Promise<void> {
    return this.file.warm(position, length);
  }

  lock(): boolean {
    return this.file.lock();
  }

  hasOtherUsers(): boolean {
    return this.file.hasOtherUsers();
  }

  map(length: number, access: 'read' | 'write'): Mapping {
    const fault = recorder.before('mmap', this.path);
    if (fault !== undefined) recorder.after({ ...fault, how: 'after' }, 'mmap', this.path);
    return new RecordedMapping(this.file.map(length, access), this.#node, this.path);
  }
}

class RecordedMapping implements Mapping {
  constructor(
    private readonly mapping: Mapping,
    private readonly node: number | undefined,
    private readonly path: string,
  ) {}

  get length(): number {
    return this.mapping.length;
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    this.mapping.write(chunks, position);
    recorder.wrote(this.node, position, Buffer.concat(chunks));
  }

  useHugePages(position: number, wanted: boolean): void {
    this.mapping.useHugePages(position, wanted);
  }

  /** Cheap, whatever it took: so that there is copying, and not only writing, on any machine. */
  async populate(position: number, length: number): Promise<number> {
    await this.mapping.populate(position, length);
    return 0;
  }

  sync(position: number, length: number): Promise<void> {
    const range = { from: position, to: position + length };
    return recordSync(this.node, 'msync', this.path, range, () =>
      this.mapping.sync(position, length),
    );
  }

  unmap(): void {
    this.mapping.unmap();
  }
}

/** A sync that fails is not made: what it was to cover is given up. */
export async function recordSync(
  node: number | undefined,
  syscall: string,
  path: string,
  range: { from: number; to: number } | undefined,
  sync: () => Promise<void>,
): Promise<void> {
  const ended = recorder.syncing(node, range);
  try {
    const fault = recorder.before(syscall, path);
    recorder.after(fault, syscall, path);
    await sync();
  } catch (error) {
    ended(true);
    throw error;
  }
  ended(false);
}
