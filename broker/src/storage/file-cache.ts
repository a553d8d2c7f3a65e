import type { Native } from '@millrace/native';
import { openStorageFile } from './persistence/file.js';
import { SharedFile } from './shared-file.js';

/** Read descriptors of sealed segments, the longest unused closed first beyond `maxOpenFiles`. */
export class FileCache {
  /** Insertion order is order of use: the first is the longest unused. */
  readonly #files = new Map<string, SharedFile>();

  constructor(
    private readonly native: Native | undefined,
    private readonly maxOpenFiles: number,
  ) {}

  get openFiles(): number {
    return this.#files.size;
  }

  /** The file at `path`, opened if need be, with one more user: the caller releases it. */
  acquire(path: string): SharedFile {
    const known = this.#files.get(path);
    const shared = known ?? new SharedFile(openStorageFile(this.native, path, 'read'));
    if (known !== undefined) this.#files.delete(path);
    this.#files.set(path, shared);
    shared.retain();
    this.#evict();
    return shared;
  }

  /** Forgets a file that goes away; those who use it keep it until they release it. */
  drop(path: string): void {
    const shared = this.#files.get(path);
    if (shared === undefined) return;
    this.#files.delete(path);
    shared.release();
  }

  close(): void {
    for (const path of [...this.#files.keys()]) this.drop(path);
  }

  #evict(): void {
    for (const path of this.#files.keys()) {
      if (this.#files.size <= this.maxOpenFiles) return;
      this.drop(path);
    }
  }
}
