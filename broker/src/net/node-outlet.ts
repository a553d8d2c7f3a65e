import type { Socket } from 'node:net';
import type { ServeStrategy } from '../serve/serve-strategy.js';
import type { FileRegion } from '../storage/file-region.js';
import type { Outlet } from './outlet.js';

/** Writes through Node's own socket, for where the native module is missing. */
export class NodeOutlet implements Outlet {
  readonly #socket: Socket;
  readonly #serve: ServeStrategy<Socket>;
  #corked = false;
  #callback: (() => void) | undefined;

  constructor(serve: ServeStrategy<Socket>, socket: Socket) {
    this.#serve = serve;
    this.#socket = socket;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  /** `writableLength` moves with whole writes only; what is left of one is known to its handle. */
  get pendingMark(): number {
    const { _handle: handle } = this.#socket as unknown as {
      _handle?: { writeQueueSize?: number } | null;
    };
    return this.#socket.writableLength + (handle?.writeQueueSize ?? 0);
  }

  /** Takes everything or nothing: Node queues what the kernel does not take. */
  sendBuffers(chunks: readonly Buffer[], skip: number, more: boolean): number {
    if (!this.#hasRoom()) return 0;
    if (more) this.#cork();
    let left = skip;
    let taken = 0;
    for (const chunk of chunks) {
      if (left >= chunk.length) {
        left -= chunk.length;
        continue;
      }
      const part = left === 0 ? chunk : chunk.subarray(left);
      left = 0;
      this.#socket.write(part);
      taken += part.length;
    }
    if (!more) this.#uncork();
    return taken;
  }

  sendRegion(
    region: FileRegion,
    skip: number,
    length: number,
    more: boolean,
  ): number | Promise<number> {
    if (!this.#hasRoom()) return 0;
    const sent = this.#serve.send(this.#socket, region, skip, length, more);
    if (typeof sent === 'number') {
      this.#uncork();
      return sent;
    }
    return sent.finally(() => {
      this.#uncork();
    });
  }

  /** Regions are read on a thread of their own anyway. */
  prepareRegion(): undefined {
    return undefined;
  }

  onceWritable(callback: () => void): void {
    this.#uncork();
    if (this.#socket.destroyed || !this.#socket.writableNeedDrain) {
      setImmediate(callback);
      return;
    }
    this.#callback = callback;
    this.#socket.once('drain', callback);
  }

  close(): void {
    if (this.#callback !== undefined) this.#socket.off('drain', this.#callback);
    this.#callback = undefined;
  }

  #hasRoom(): boolean {
    if (this.#socket.destroyed) throw connectionGone();
    return !this.#socket.writableNeedDrain;
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
  }

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }
}

function connectionGone(): Error {
  return Object.assign(new Error('the connection is gone'), { code: 'EPIPE' });
}
