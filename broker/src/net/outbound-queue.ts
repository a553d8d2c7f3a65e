import type { FileRegion } from '../storage/file-region.js';
import type { Outlet } from './outlet.js';

/** A part of an answer: bytes in memory, or bytes in a file. */
export type OutboundPart = Buffer | FileRegion;

export interface OutboundQueueOptions {
  /** What may be sent before other connections get their turn. */
  readonly sendBytesPerTurn: number;
  /** Bytes were handed to the kernel. */
  readonly onSent: (bytes: number) => void;
  /** The connection cannot be written to any more; called once, the queue has closed itself. */
  readonly onFailure: (error: unknown) => void;
}

/** The most buffers that one send takes; the kernel's own bound (IOV_MAX) is 1,024. */
const MAX_BUFFERS_PER_SEND = 128;
/** A region is probed, warmed and sent in pieces of at most this much. */
export const REGION_PIECE_BYTES = 2 ** 20;

/**
 * The ordered outbound queue of one connection. Answers enter whole and leave in order; a region is
 * released exactly once, when its last byte was sent or when the queue closes.
 *
 * Sending starts once the code that runs now and its promises are done, so that the answers to
 * pipelined requests leave in one send.
 */
export class OutboundQueue {
  readonly #outlet: Outlet;
  readonly #options: OutboundQueueOptions;
  #parts: (OutboundPart | undefined)[] = [];
  #head = 0;
  /** Bytes of the part at the head that are sent. */
  #sentOfHead = 0;
  /** Bytes of the region at the head known to be in the page cache. */
  #preparedOfHead = 0;
  #bytes = 0;
  #sentBytes = 0;
  #waitsForClient = false;
  /** Something will call back: the next tick, a writable socket, the disk, the next turn. */
  #waiting = false;
  /** A promise still reads the region at the head; it must not be released before. */
  #headInUse = false;
  #closed = false;

  constructor(outlet: Outlet, options: OutboundQueueOptions) {
    this.#outlet = outlet;
    this.#options = options;
  }

  /** Bytes that are not yet handed to the kernel. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Buffers and regions that are not yet handed to the kernel. */
  get depth(): number {
    return this.#parts.length - this.#head;
  }

  /** Bytes that were handed to the outlet, ever. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Whether the next byte waits for the client to take earlier ones, not for the disk or a turn. */
  get waitsForClient(): boolean {
    return this.#waitsForClient;
  }

  /** Takes one answer: a head and what follows it. After {@link close} it is dropped. */
  push(head: Buffer, body: readonly OutboundPart[]): void {
    if (this.#closed) {
      releaseParts(body);
      return;
    }
    this.#parts.push(head);
    this.#bytes += head.length;
    for (const part of body) {
      this.#parts.push(part);
      this.#bytes += part.length;
    }
    if (this.#waiting) return;
    this.#waiting = true;
    process.nextTick(this.#resume);
  }

  /** Drops what was not sent. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#outlet.close();
    const left = this.#parts.slice(this.#head);
    this.#parts = this.#headInUse ? left.splice(0, 1) : [];
    releaseParts(left);
    this.#head = 0;
    this.#bytes = 0;
  }

  readonly #resume = (): void => {
    this.#waiting = false;
    this.#waitsForClient = false;
    this.#pump();
  };

  readonly #fail = (error: unknown): void => {
    if (this.#closed) return;
    this.close();
    this.#options.onFailure(error);
  };

  #pump(): void {
    if (this.#closed) return;
    const before = this.#bytes;
    try {
      this.#sendTurn();
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#bytes < before) this.#options.onSent(before - this.#bytes);
  }

  /** Sends until nothing is left, the budget is used, or something must be waited for. */
  #sendTurn(): void {
    const floor = this.#bytes - this.#options.sendBytesPerTurn;
    while (!this.#waiting && this.#head < this.#parts.length) {
      if (this.#bytes <= floor) {
        this.#waiting = true;
        setImmediate(this.#resume);
        return;
      }
      const part = this.#parts[this.#head];
      if (part instanceof Uint8Array) this.#sendBuffers(part);
      else if (part !== undefined) this.#sendPiece(part);
    }
  }

  /** Sends the buffers at the head together. */
  #sendBuffers(first: Buffer): void {
    const buffers = [first];
    let offered = first.length - this.#sentOfHead;
    let index = this.#head + 1;
    let next = this.#parts[index];
    while (next instanceof Uint8Array && buffers.length < MAX_BUFFERS_PER_SEND) {
      buffers.push(next);
      offered += next.length;
      index += 1;
      next = this.#parts[index];
    }
    const sent = this.#outlet.sendBuffers(buffers, this.#sentOfHead, next !== undefined);
    this.#advance(sent);
    if (sent < offered) this.#waitWritable();
  }

  #sendPiece(region: FileRegion): void {
    const skip = this.#sentOfHead;
    const length = Math.min(region.length - skip, REGION_PIECE_BYTES);
    if (this.#preparedOfHead < skip + length) {
      this.#preparedOfHead = skip + length;
      const prepared = this.#outlet.prepareRegion(region, skip, length);
      if (prepared !== undefined) {
        this.#waitFor(prepared, undefined);
        return;
      }
    }
    const last = skip + length === region.length;
    const more = !last || this.#head + 1 < this.#parts.length;
    const sent = this.#outlet.sendRegion(region, skip, length, more);
    if (typeof sent !== 'number') {
      this.#waitFor(sent, length);
      return;
    }
    this.#advance(sent);
    if (sent < length) this.#waitWritable();
  }

  #waitWritable(): void {
    this.#waiting = true;
    this.#waitsForClient = true;
    this.#outlet.onceWritable(this.#resume);
  }

  /** Goes on when `work` on the region at the head is done; with `offered`, it resolves to bytes sent. */
  #waitFor(work: Promise<unknown>, offered: number | undefined): void {
    this.#waiting = true;
    this.#headInUse = true;
    const done = (sent: unknown): void => {
      if (this.#releaseAfterClose()) return;
      this.#waiting = false;
      if (typeof sent === 'number') {
        this.#advance(sent);
        const isShort = sent < (offered ?? 0);
        // Before anybody is told, who may push more at once.
        if (isShort) this.#waitWritable();
        this.#options.onSent(sent);
        if (isShort) return;
      }
      this.#pump();
    };
    const failed = (error: unknown): void => {
      if (!this.#releaseAfterClose()) this.#fail(error);
    };
    work.then(done, failed);
  }

  /** The head is no longer in use; when the queue closed meanwhile, only its release is left. */
  #releaseAfterClose(): boolean {
    this.#headInUse = false;
    if (!this.#closed) return false;
    releaseParts(this.#parts);
    this.#parts = [];
    return true;
  }

  /** Takes `sent` bytes off the head of the queue, releasing what is finished. */
  #advance(sent: number): void {
    this.#bytes -= sent;
    this.#sentBytes += sent;
    this.#sentOfHead += sent;
    for (;;) {
      const part = this.#parts[this.#head];
      if (part === undefined || this.#sentOfHead < part.length) break;
      this.#sentOfHead -= part.length;
      this.#preparedOfHead = 0;
      this.#parts[this.#head] = undefined;
      this.#head += 1;
      releasePart(part);
    }
    this.#compact();
  }

  /** Forgets the slots of what was sent, at a cost that does not grow with the queue. */
  #compact(): void {
    if (this.#head === this.#parts.length) {
      this.#parts.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1_024 && this.#head * 2 >= this.#parts.length) {
      this.#parts = this.#parts.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** Drops an answer that will not be sent. */
export function releaseParts(parts: Iterable<OutboundPart | undefined>): void {
  for (const part of parts) releasePart(part);
}

function releasePart(part: OutboundPart | undefined): void {
  if (part !== undefined && !(part instanceof Uint8Array)) part.release();
}
