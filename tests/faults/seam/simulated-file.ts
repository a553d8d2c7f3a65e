import type { Range } from './operations.js';

/** The kernel tracks what is not written back by pages. */
export const PAGE_BYTES = 4096;

/** Which of a file's un-synced changes a power cut keeps. */
export interface KeptContent {
  /** The size as it was last set, or as it was last synced. */
  readonly size: 'last' | 'synced';
  /** Asked for each page that is not written back; `index` counts those, of `count`. */
  readonly page: (index: number, count: number) => boolean;
}

interface Capture {
  readonly size: number;
  readonly pages: ReadonlyMap<number, { readonly version: number; readonly bytes: Buffer }>;
}

/**
 * A file as the page cache shows it, and as the device has it. A sync copies the pages that are dirty
 * when it begins. One that failed leaves them clean, and as they were on the device: that is what
 * Linux does, and why a second sync that succeeds means nothing.
 */
export class SimulatedFile {
  /** As the page cache shows it. */
  cache: Buffer = Buffer.alloc(0);
  #device: Buffer = Buffer.alloc(0);
  /** Beyond this the device has bytes that were cut off since. */
  #deviceValid = 0;
  /** Pages not written back, with what number of change made them so. */
  readonly #dirty = new Map<number, number>();
  readonly #syncs = new Map<number, Capture>();
  #changes = 0;

  /** A file that is on the device as it is. */
  static synced(content: Buffer): SimulatedFile {
    const file = new SimulatedFile();
    file.cache = Buffer.from(content);
    file.#device = Buffer.from(content);
    file.#deviceValid = content.length;
    return file;
  }

  clone(): SimulatedFile {
    const copy = SimulatedFile.synced(this.cache);
    copy.#device = Buffer.from(this.#device);
    copy.#deviceValid = this.#deviceValid;
    for (const [page, change] of this.#dirty) copy.#dirty.set(page, change);
    for (const [id, capture] of this.#syncs) copy.#syncs.set(id, capture);
    copy.#changes = this.#changes;
    return copy;
  }

  write(position: number, bytes: Buffer): void {
    const end = position + bytes.length;
    if (end > this.cache.length) this.resize(end);
    bytes.copy(this.cache, position);
    this.#changes += 1;
    for (let page = pageOf(position); page * PAGE_BYTES < end; page += 1) {
      this.#dirty.set(page, this.#changes);
    }
  }

  resize(size: number): void {
    if (size > this.cache.length) {
      this.cache = Buffer.concat([this.cache, Buffer.alloc(size - this.cache.length)]);
      return;
    }
    this.cache = Buffer.from(this.cache.subarray(0, size));
    this.#deviceValid = Math.min(this.#deviceValid, size);
    for (const page of this.#dirty.keys()) {
      if (page * PAGE_BYTES >= size) this.#dirty.delete(page);
    }
  }

  /** Msync(2) of a range covers the pages that hold it; like `fdatasync(2)` it covers the size. */
  beginSync(id: number, range: Range = { from: 0, to: Infinity }): void {
    const pages = new Map<number, { version: number; bytes: Buffer }>();
    for (const [page, version] of this.#dirty) {
      const start = page * PAGE_BYTES;
      if (start + PAGE_BYTES <= range.from || start >= range.to) continue;
      pages.set(page, {
        version,
        bytes: Buffer.from(this.cache.subarray(start, start + PAGE_BYTES)),
      });
    }
    this.#syncs.set(id, { size: this.cache.length, pages });
  }

  endSync(id: number, failed: boolean): void {
    const capture = this.#syncs.get(id);
    if (capture === undefined) throw new Error(`sync ${id} was never begun`);
    this.#syncs.delete(id);
    for (const [page, { version }] of capture.pages) {
      if (this.#dirty.get(page) === version) this.#dirty.delete(page);
    }
    if (failed) return;
    const device = Buffer.alloc(capture.size);
    this.#device.copy(device, 0, 0, Math.min(this.#deviceValid, capture.size));
    for (const [page, { bytes }] of capture.pages) bytes.copy(device, page * PAGE_BYTES);
    this.#device = device;
    this.#deviceValid = Math.min(capture.size, this.cache.length);
  }

  /** What the device has after a power cut that kept that much of what was not synced. */
  afterPowerCut({ size, page: isKept }: KeptContent): Buffer {
    const bytes = size === 'last' ? this.cache.length : this.#device.length;
    const content = Buffer.alloc(bytes);
    this.#device.copy(content, 0, 0, size === 'last' ? Math.min(this.#deviceValid, bytes) : bytes);
    const dirty = [...this.#dirty.keys()].sort((a, b) => a - b);
    for (const [index, page] of dirty.entries()) {
      const start = page * PAGE_BYTES;
      if (start < bytes && isKept(index, dirty.length)) {
        this.cache.copy(content, start, start, Math.min(start + PAGE_BYTES, this.cache.length));
      }
    }
    return content;
  }
}

const pageOf = (position: number): number => Math.floor(position / PAGE_BYTES);
