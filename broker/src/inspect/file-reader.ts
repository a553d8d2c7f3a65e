import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * Reads a file front to back in large pieces, and never writes: what it takes is one piece, or the
 * longest stretch that was asked for. It blocks, so it is for tools, not for a broker.
 */
export class FileReader {
  readonly #fd: number;
  /** Length of the file when it was opened: what a running broker adds is not seen. */
  readonly sizeBytes: number;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;
  #filled = 0;

  /** @throws Error with an errno code */
  constructor(
    readonly path: string,
    private readonly windowBytes = WINDOW_BYTES,
  ) {
    this.#fd = openSync(path, 'r');
    this.sizeBytes = fstatSync(this.#fd).size;
  }

  /** The bytes from `position` on, fewer at the end of the file; they stay until the next call. */
  bytes(position: number, length: number): Buffer {
    const from = position - this.#windowStart;
    if (from >= 0 && from + length <= this.#filled) {
      return this.#window.subarray(from, from + length);
    }
    this.#fill(position, length);
    return this.#window.subarray(0, Math.min(length, this.#filled));
  }

  /** Reads again what it has read already: a running broker may have changed it. */
  forget(): void {
    this.#filled = 0;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #fill(position: number, length: number): void {
    const left = Math.max(0, this.sizeBytes - position);
    const want = Math.min(Math.max(length, this.windowBytes), left);
    if (this.#window.length < want) this.#window = Buffer.allocUnsafe(want);
    this.#windowStart = position;
    this.#filled = 0;
    while (this.#filled < want) {
      const room = want - this.#filled;
      const count = readSync(this.#fd, this.#window, this.#filled, room, position + this.#filled);
      if (count === 0) return;
      this.#filled += count;
    }
  }
}

/** Where the first byte that is not zero lies at or after `from`; undefined when there is none. */
export function firstContent(file: FileReader, from: number, limit: number): number | undefined {
  let position = from;
  while (position < limit) {
    const bytes = file.bytes(position, Math.min(ZEROS.length, limit - position));
    if (bytes.length === 0) return undefined;
    if (!bytes.equals(ZEROS.subarray(0, bytes.length))) {
      return position + bytes.findIndex((byte) => byte !== 0);
    }
    position += bytes.length;
  }
  return undefined;
}

const ZEROS = Buffer.alloc(64 * 1024);
