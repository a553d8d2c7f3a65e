import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe } from '@jest/globals';
import {
  loadNative,
  nativeProblem,
  type Native,
  type NativeError,
  type NativeFile,
} from '@millrace/native';

export const addonPath = fileURLToPath(
  new URL('../../native/build/Release/millrace_native.node', import.meta.url),
);

/**
 * A suite that needs the module: where it cannot be built the broker does without, and so do its
 * tests.
 */
export function describeNative(name: string, body: (native: Native) => void): void {
  const native = loadNative();
  if (native !== undefined) {
    describe(name, () => body(native));
  } else {
    describe.skip(`${name} (${nativeProblem() ?? 'no reason'})`, () => body({} as Native));
  }
}

/** A directory for each test of the suite that calls this; gone afterwards. */
export function useDirectory(): { readonly path: string; file(name?: string): string } {
  let path = '';
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'millrace-native-'));
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));
  return {
    get path() {
      return path;
    },
    file: (name = 'data') => join(path, name),
  };
}

/** What the action throws, with the fields that errors of this module carry. */
export function thrownBy(action: () => unknown): NativeError {
  try {
    action();
  } catch (error) {
    return error as NativeError;
  }
  throw new Error('nothing was thrown');
}

/** Bytes that differ everywhere, so that a shifted or repeated part shows. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i + 4 <= length; i += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, i);
  }
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function createFile(native: Native, path: string, content: Uint8Array): NativeFile {
  const file = native.openFile(path, 'create');
  file.write([content], 0);
  return file;
}

export interface SocketPair {
  /** The end that a writer is made for; never read from. */
  readonly near: Socket;
  readonly far: Socket;
  readonly fd: number;
}

/** Real TCP connections on loopback. The far end is paused: it reads what the test asks it to. */
export function useSockets(): { pair(): Promise<SocketPair> } {
  let server: Server | undefined;
  const open: Socket[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.destroy();
  });
  afterAll(() => {
    server?.close();
  });
  return {
    async pair() {
      if (server === undefined) {
        server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
      }
      const { port } = server.address() as AddressInfo;
      const accepted = once(server, 'connection') as Promise<[Socket]>;
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      far.pause();
      await once(far, 'connect');
      const [near] = await accepted;
      for (const socket of [near, far]) socket.on('error', () => undefined);
      open.push(near, far);
      const { fd } = (near as unknown as { _handle: { fd: number } })._handle;
      return { near, far, fd };
    },
  };
}

/** Reads exactly that many bytes. */
export async function readBytes(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got = 0;
  while (got < length) {
    const chunk = socket.read(Math.min(length - got, socket.readableLength || 1)) as Buffer | null;
    if (chunk === null) {
      await once(socket, 'readable');
    } else {
      chunks.push(chunk);
      got += chunk.length;
    }
  }
  return Buffer.concat(chunks);
}
