import { read } from 'node:fs';
import type { Socket } from 'node:net';
import type { FileRegion } from '../storage/file-region.js';
import { fileCut } from './file-cut.js';
import type { ServeStrategy } from './serve-strategy.js';

/**
 * Read and write on Node's own API, for where the native module is missing. Reading happens on
 * libuv's thread pool, so cold data does not hold up the event loop.
 */
export class NodeCopyServe implements ServeStrategy<Socket> {
  readonly name = 'copy';

  async send(socket: Socket, region: FileRegion, skip: number, length: number): Promise<number> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const count = await readAt(region, buffer, filled, skip + filled);
      if (count === 0) throw fileCut(region, region.position + skip + filled);
      filled += count;
    }
    // Node queues what the kernel does not take; the caller asks for less until that is gone.
    socket.write(buffer);
    return length;
  }

  close(): void {
    // Nothing is kept between sends.
  }
}

function readAt(region: FileRegion, buffer: Buffer, from: number, skip: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const { fd } = region.file;
    read(fd, buffer, from, buffer.length - from, region.position + skip, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}
