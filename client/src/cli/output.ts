import { once } from 'node:events';
import { OutputClosedError } from './exit.js';

/** Gathered bytes are written when they reach this. */
const FLUSH_BYTES = 64 * 1024;

/**
 * Standard output with backpressure: small pieces are gathered, and a reader that is slow makes
 * us wait. Once the reader has gone (`… | head`), {@link write} and {@link flush} throw.
 */
export class Output {
  readonly #stream: NodeJS.WritableStream;
  readonly #gone = new AbortController();
  #parts: Buffer[] = [];
  #bytes = 0;
  #error: Error | undefined;

  /** @param onGone called when the reader has gone, to end what waits for something else. */
  constructor(stream: NodeJS.WritableStream, onGone: () => void) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??=
        error.code === 'EPIPE' ? new OutputClosedError('The reader of the output has gone') : error;
      this.#gone.abort();
      onGone();
    });
  }

  /** Takes a piece; true when {@link flush} should be awaited before more. */
  write(piece: Buffer): boolean {
    this.#parts.push(piece);
    this.#bytes += piece.length;
    return this.#bytes >= FLUSH_BYTES;
  }

  /**
   * Hands everything to the stream and waits until that wants more.
   *
   * @throws OutputClosedError when the reader has gone.
   */
  async flush(): Promise<void> {
    this.#throwIfGone();
    if (this.#bytes === 0) return;
    const bytes = Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    if (!this.#stream.write(bytes)) {
      try {
        await once(this.#stream, 'drain', { signal: this.#gone.signal });
      } catch (error) {
        this.#throwIfGone();
        throw error;
      }
    }
    this.#throwIfGone();
  }

  #throwIfGone(): void {
    if (this.#error !== undefined) throw this.#error;
  }
}
