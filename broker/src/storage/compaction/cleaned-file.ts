import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { OffsetIndex } from '../offset-index.js';
import { cleanedFileName, cleanedIndexName } from './manifest.js';
import type { Pace } from './pace.js';

const WRITE_BYTES = 1024 * 1024;
/**
 * Synced this often while it is written: one sync of everything at the end would keep the disk from
 * the syncs that producers wait for.
 */
const SYNC_EVERY_BYTES = 8 * 1024 * 1024;

/** The file that cleaned records are written to, by large writes from one buffer. */
export class CleanedFile {
  readonly path: string;
  readonly #fd: number;
  #filled = 0;
  #unsyncedBytes = 0;

  /** @throws Error with an errno code */
  constructor(
    private readonly directory: string,
    private readonly baseOffset: number,
    private readonly buffer: Buffer,
    private readonly pace: Pace,
  ) {
    this.path = join(directory, cleanedFileName(baseOffset));
    this.#fd = openSync(this.path, 'w', 0o644);
  }

  /** A buffer for one file after the other. */
  static buffer(): Buffer {
    return Buffer.allocUnsafeSlow(WRITE_BYTES);
  }

  /** Appends `bytes`, which may change afterwards. */
  async write(bytes: Buffer): Promise<void> {
    let from = 0;
    while (from < bytes.length) {
      const copied = bytes.copy(this.buffer, this.#filled, from);
      from += copied;
      this.#filled += copied;
      if (this.#filled === this.buffer.length) await this.#flush();
    }
  }

  /** Appends the first `length` bytes of the file at `path`. */
  async copy(path: string, length: number): Promise<void> {
    const source = openSync(path, 'r');
    try {
      let position = 0;
      while (position < length) {
        const room = Math.min(this.buffer.length - this.#filled, length - position);
        const count = readSync(source, this.buffer, this.#filled, room, position);
        if (count === 0) throw new Error(`${path} ends at byte ${position} of ${length}`);
        await this.pace.take(count);
        position += count;
        this.#filled += count;
        if (this.#filled === this.buffer.length) await this.#flush();
      }
    } finally {
      closeSync(source);
    }
  }

  /** Resolves when the file is whole and on the device, with its index beside it; or removes it. */
  async finish(index: OffsetIndex): Promise<void> {
    try {
      await this.#flush();
      fsyncSync(this.#fd);
      // It can be rebuilt from the log, so it need not be durable.
      writeFileSync(join(this.directory, cleanedIndexName(this.baseOffset)), index.encode());
    } catch (error) {
      this.discard();
      throw error;
    }
    closeSync(this.#fd);
  }

  /** Removes it. */
  discard(): void {
    closeSync(this.#fd);
    unlinkSync(this.path);
  }

  async #flush(): Promise<void> {
    let written = 0;
    while (written < this.#filled) {
      written += writeSync(this.#fd, this.buffer, written, this.#filled - written);
    }
    this.#filled = 0;
    this.#unsyncedBytes += written;
    if (this.#unsyncedBytes >= SYNC_EVERY_BYTES) {
      fdatasyncSync(this.#fd);
      this.#unsyncedBytes = 0;
    }
    await this.pace.take(written);
  }
}
