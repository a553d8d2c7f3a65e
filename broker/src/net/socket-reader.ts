import { Socket } from 'node:net';
import type { OnReadOpts } from 'node:net';
import { Block, SLAB_BYTES } from './read-pool.js';
import type { ReadPool } from './read-pool.js';
import type { MemoryUser } from './request-memory.js';

/** Blocks to release when the request that lies in them was served. */
export type Lease = readonly Block[];

/** What the frames of one chunk have to hold. */
export interface Leases {
  /** The first frame, which may have begun in earlier chunks. */
  readonly first: Lease;
  /** Each of the others. */
  readonly others: Lease;
}

/** A chunk up to this size is copied to memory of its own rather than to a slab. */
const SMALL_CHUNK_BYTES = 8 * 1024;
/** Where the small chunks of one frame are gathered. */
const GATHER_BYTES = 16 * 1024;
/** With less room than this left, the next read goes to a new slab. */
const MIN_ROOM_BYTES = 32 * 1024;

const noLease: Lease = [];

/**
 * Reads a connection into memory that is counted. While a large request is incomplete, reads go straight
 * into slabs of the connection's own; otherwise into the pool's landing, from where they are copied, so
 * that a connection without requests costs no memory.
 */
export class SocketReader {
  readonly socket: Socket;
  readonly #pool: ReadPool;
  #onChunk: (chunk: Buffer) => void = () => undefined;
  /** Whom the memory counts against. */
  #owner: MemoryUser | undefined;
  /** What bytes are put into, from `#position` on. */
  #block: Block | undefined;
  #position = 0;
  /** Blocks that hold bytes of the incomplete frame. */
  #incomplete: Block[] = [];
  #incompleteBytes = 0;
  #midFrame = false;
  /** The block under the chunk that is being handled. */
  #touched: Block | undefined;
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
  start(owner: MemoryUser, onChunk: (chunk: Buffer) => void): void {
    this.#owner = owner;
    this.#onChunk = onChunk;
    this.socket.resume();
  }

  /**
   * Settles who holds the memory under the chunk that is being handled.
   * @param frames how many frames the chunk completed.
   * @param incomplete whether another one has begun.
   */
  takeLeases(frames: number, incomplete: boolean): Leases {
    const block = this.#touched;
    let first = noLease;
    let others = noLease;
    if (frames > 0) {
      const began = this.#incomplete;
      this.#incomplete = [];
      this.#incompleteBytes = 0;
      if (block !== undefined && began.at(-1) !== block) {
        block.retain();
        began.push(block);
      }
      first = began;
      if (block !== undefined && frames > 1) {
        for (let frame = 1; frame < frames; frame += 1) block.retain();
        others = [block];
      }
    }
    this.#midFrame = incomplete;
    if (!incomplete) this.#leaveBlock();
    else if (block !== undefined && this.#incomplete.at(-1) !== block) {
      block.retain();
      this.#incomplete.push(block);
      this.#incompleteBytes += block.countedBytes;
    }
    return { first, others };
  }

  /** Memory of the incomplete frame. */
  get incompleteBytes(): number {
    return this.#incompleteBytes;
  }

  /** Lets go of all memory but that of frames that were completed; what still comes is dropped. */
  close(): void {
    this.#closed = true;
    this.#leaveBlock();
    release(this.#incomplete);
    this.#incomplete = [];
    this.#incompleteBytes = 0;
  }

  #nextBuffer(): Buffer {
    const block = this.#block;
    const owner = this.#owner;
    if (owner === undefined || block === undefined || block.bytes.length < SLAB_BYTES) {
      const { landing, memory } = this.#pool;
      return memory.isScarce && !this.#midFrame ? landing.subarray(0, SMALL_CHUNK_BYTES) : landing;
    }
    if (SLAB_BYTES - this.#position < MIN_ROOM_BYTES) this.#enter(this.#pool.takeSlab(owner));
    return this.#block?.bytes.subarray(this.#position) ?? this.#pool.landing;
  }

  #onRead(count: number, buffer: Uint8Array): boolean {
    const owner = this.#owner;
    if (this.#closed || owner === undefined) return true;
    const landed = buffer.buffer === this.#pool.landing.buffer;
    this.#onChunk(landed ? this.#fromLanding(count, owner) : this.#advance(count));
    this.#touched = undefined;
    return true;
  }

  /** What was read into the landing has to leave it before anybody else reads. */
  #fromLanding(count: number, owner: MemoryUser): Buffer {
    const room = (this.#block?.bytes.length ?? 0) - this.#position;
    if (count > room) this.#enter(this.#newBlock(count, owner));
    const chunk = this.#advance(count);
    this.#pool.landing.copy(chunk, 0, 0, count);
    this.#pool.copies.bytesCopied += count;
    return chunk;
  }

  #newBlock(count: number, owner: MemoryUser): Block {
    const slab = this.#midFrame || !this.#pool.memory.isScarce;
    if (slab && count > SMALL_CHUNK_BYTES) return this.#pool.takeSlab(owner);
    // The decoder copies the smallest chunks once more while their frame is incomplete.
    if (this.#midFrame) {
      return new Block(Buffer.allocUnsafeSlow(GATHER_BYTES), this.#pool, owner, 2 * GATHER_BYTES);
    }
    return new Block(Buffer.allocUnsafe(count), this.#pool, owner, count);
  }

  #advance(count: number): Buffer {
    const start = this.#position;
    this.#position += count;
    this.#touched = this.#block;
    return this.#block?.bytes.subarray(start, start + count) ?? Buffer.alloc(0);
  }

  #enter(block: Block): void {
    this.#block?.release();
    this.#block = block;
    this.#position = 0;
  }

  #leaveBlock(): void {
    this.#block?.release();
    this.#block = undefined;
    this.#position = 0;
  }
}

/** Gives memory back to its pool. */
export function release(lease: Lease): void {
  for (const block of lease) block.release();
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
