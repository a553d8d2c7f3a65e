import type { Socket } from 'node:net';
import type { Native, SocketWriter } from '@millrace/native';
import { warmIfCold } from '../serve/residency.js';
import type { ServeStrategy } from '../serve/serve-strategy.js';
import type { FileRegion } from '../storage/file-region.js';
import type { Outlet } from './outlet.js';

/**
 * Writes by the native module on a duplicate of the socket's descriptor. Node reads from the socket
 * and closes it; nothing may be written through Node as well, or bytes would get out of order.
 */
export class NativeOutlet implements Outlet {
  /** It takes no more than the kernel does. */
  readonly pendingBytes = 0;
  readonly pendingMark = 0;
  readonly #writer: SocketWriter;
  readonly #serve: ServeStrategy<SocketWriter>;
  #closed = false;

  /** @throws Error when the descriptor cannot be had or duplicated (`EMFILE`). */
  constructor(native: Native, serve: ServeStrategy<SocketWriter>, socket: Socket) {
    this.#serve = serve;
    this.#writer = native.socketWriter(descriptorOf(socket));
  }

  sendBuffers(chunks: readonly Buffer[], skip: number, more: boolean): number {
    return this.#writer.send(chunks, skip, more);
  }

  sendRegion(
    region: FileRegion,
    skip: number,
    length: number,
    more: boolean,
  ): number | Promise<number> {
    return this.#serve.send(this.#writer, region, skip, length, more);
  }

  prepareRegion(region: FileRegion, skip: number, length: number): Promise<void> | undefined {
    return warmIfCold(region, skip, length);
  }

  onceWritable(callback: () => void): void {
    this.#writer.onceWritable(callback);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writer.close();
  }
}

/**
 * The descriptor under a socket. Node has no public way to it, but `_handle.fd` has been there on
 * POSIX since 0.x and tools rely on it; should it go, this fails loudly on the first connection, and
 * `--mode classic` without the native module goes on working.
 */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: unknown } | null };
  const fd = handle?.fd;
  if (typeof fd !== 'number' || fd < 0) {
    throw new Error('the descriptor of a socket cannot be had on this version of Node');
  }
  return fd;
}
