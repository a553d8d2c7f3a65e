import { Socket } from 'node:net';
import type { OnReadOpts } from 'node:net';
import type { ReadPool, Slab } from './read-pool.js';
import { SLAB_BYTES } from './read-pool.js';

/** Slabs to release when the request that lies in them was served. */
export type Lease = readonly Slab[];

/** What the frames of one chunk have to hold. */
export interface Leases {
  /** The first frame, which may have begun in earlier chunks. */
  readonly first: Lease;
  /** Each of the others. */
  readonly others: Lease;
}

/** A chunk up to this size is copied to memory of its own rather than to a slab. */
const SMALL_CHUNK_BYTES = 8 * 1024;
/** With less room than this left, the next read goes to a new slab. */
const MIN_ROOM_BYTES = 32 * 1024;

const noLease: Lease = [];

/**
 * Reads a connection into pooled memory. While a request is incomplete, reads go straight into slabs of
 * the connection's own; otherwise into the pool's landing, from where they are copied, so that a
 * connection without requests costs no memory.
 */
export class SocketReader {
  readonly socket: Socket;
  readonly #pool: ReadPool;
  #onChunk: (chunk: Buffer) => void = () => undefined;
  /** Where reads go, from `#position` on. */
  #slab: Slab | undefined;
  #position = 0;
  /** Slabs that hold bytes of the incomplete frame. */
  #incomplete: Slab[] = [];
  /** The slab under the chunk that is being handled. */
  #touched: Slab | undefined;
  #closed = false;

  /** @param accepted a socket as the server gave it, paused; the reader takes it over. */
  constructor(accepted: Socket, pool: ReadPool) {
    this.#pool = pool;
    this.socket = adopt(accepted, {
      buffer: () => this.#nextBuffer(),
      callback: (count, buffer) => this.#onRead(count, buffer),
    });
  }

  /** Begins to read. For each chunk, {@link takeLeases} is to be called before `onChunk` returns. */
  start(onChunk: (chunk: Buffer) => void): void {
    this.#onChunk = onChunk;
    this.socket.resume();
  }

  /**
   * Settles who holds the memory under the chunk that is being handled.
   * @param frames how many frames the chunk completed.
   * @param incomplete whether another one has begun.
   */
  takeLeases(frames: number, incomplete: boolean): Leases {
    const slab = this.#touched;
    let first = noLease;
    let others = noLease;
    if (frames > 0) {
      const began = this.#incomplete;
      this.#incomplete = [];
      if (slab !== undefined && !began.includes(slab)) {
        slab.retain();
        began.push(slab);
      }
      first = began;
      if (slab !== undefined && frames > 1) {
        for (let frame = 1; frame < frames; frame += 1) slab.retain();
        others = [slab];
      }
    }
    if (!incomplete) this.#leaveSlab();
    else if (slab !== undefined && !this.#incomplete.includes(slab)) {
      slab.retain();
      this.#incomplete.push(slab);
    }
    return { first, others };
  }

  /** Lets go of all memory but that of frames that were completed. */
  close(): void {
    this.#closed = true;
    this.#leaveSlab();
    release(this.#incomplete);
    this.#incomplete = [];
  }

  #nextBuffer(): Buffer {
    const slab = this.#slab;
    if (slab === undefined || this.#closed) return this.#pool.landing;
    if (SLAB_BYTES - this.#position < MIN_ROOM_BYTES) return this.#enterSlab().bytes;
    return slab.bytes.subarray(this.#position);
  }

  #onRead(count: number, buffer: Uint8Array): boolean {
    this.#onChunk(buffer === this.#pool.landing ? this.#fromLanding(count) : this.#advance(count));
    this.#touched = undefined;
    return true;
  }

  /** What was read into the landing has to leave it before anybody else reads. */
  #fromLanding(count: number): Buffer {
    const bytes = this.#pool.landing.subarray(0, count);
    if (count <= SMALL_CHUNK_BYTES) return Buffer.from(bytes);
    bytes.copy(this.#enterSlab().bytes);
    return this.#advance(count);
  }

  #advance(count: number): Buffer {
    const slab = this.#slab ?? this.#enterSlab();
    const start = this.#position;
    this.#position += count;
    this.#touched = slab;
    return slab.bytes.subarray(start, start + count);
  }

  #enterSlab(): Slab {
    this.#slab?.release();
    this.#slab = this.#pool.take();
    this.#position = 0;
    return this.#slab;
  }

  #leaveSlab(): void {
    this.#slab?.release();
    this.#slab = undefined;
  }
}

/** Gives memory back to its pool. */
export function release(lease: Lease): void {
  for (const slab of lease) slab.release();
}

/**
 * The connection of a socket that a server accepted, as a socket that reads into given memory. Node
 * offers `onread` for sockets that it makes itself, and none to servers; so its handle is moved to a new
 * socket, as Node's own cluster module does. `handle` is not a documented option: should it go, the
 * first connection fails loudly.
 */
function adopt(accepted: Socket, onread: OnReadOpts): Socket {
  const donor = accepted as unknown as { _handle: object | null };
  const handle = donor._handle;
  if (handle === null) throw new Error('the connection was closed before it was accepted');
  donor._handle = null;
  const options = { handle, onread, allowHalfOpen: true, manualStart: true };
  return new Socket(options);
}
