import { BufferFullError } from '../errors.js';
import { MAX_WAITING_SENDS } from './options.js';

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
}

/**
 * How much a producer may hold: a byte count, a queue of senders that wait for room in the order
 * they came, and listeners for the moment when there is room again.
 */
export class MemoryBudget {
  readonly limitBytes: number;
  /** Bytes of finished batches beyond which {@link hasRoom} is false. */
  readonly highWaterBytes: number;
  #usedBytes = 0;
  #backlogBytes = 0;
  readonly #waiters = new Map<number, Waiter>();
  #nextTicket = 0;
  #admitting = false;
  readonly #roomListeners = new Set<() => void>();

  constructor(limitBytes: number, highWaterBytes: number) {
    this.limitBytes = limitBytes;
    this.highWaterBytes = Math.min(highWaterBytes, limitBytes);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Senders that wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** True while more is welcome: what `enqueue` returns. */
  get hasRoom(): boolean {
    return this.#backlogBytes < this.highWaterBytes && !this.isPressed;
  }

  /**
   * True when somebody waits or half of the limit is taken: nothing should linger then. The other
   * half is for the message that comes next, which may be large.
   */
  get isPressed(): boolean {
    return this.#waiters.size > 0 || this.#usedBytes * 2 >= this.limitBytes;
  }

  /** Whether so many more would stay within the limit, with nobody waiting in front. */
  fits(bytes: number): boolean {
    return this.#waiters.size === 0 && this.#usedBytes + bytes <= this.limitBytes;
  }

  /** Counts bytes that are held from now on. */
  charge(bytes: number): void {
    this.#usedBytes += bytes;
  }

  /** Uncounts bytes that were not part of a finished batch. */
  refund(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#admit();
  }

  /**
   * Waits in line; `admit` is called, synchronously and in order, once the bytes fit. It charges
   * what it keeps.
   *
   * @returns the way to leave the line; false when the turn had come before.
   * @throws BufferFullError when {@link MAX_WAITING_SENDS} wait already.
   */
  wait(bytes: number, admit: () => void): () => boolean {
    if (this.#waiters.size >= MAX_WAITING_SENDS) {
      throw new BufferFullError(
        `${MAX_WAITING_SENDS} sends wait for room in the producer's buffer; await some of them`,
      );
    }
    const ticket = this.#nextTicket;
    this.#nextTicket += 1;
    this.#waiters.set(ticket, { bytes, admit });
    return () => {
      const left = this.#waiters.delete(ticket);
      if (left) this.#admit();
      return left;
    };
  }

  /** A batch of so many bytes is finished and waits for the broker. */
  addBacklog(bytes: number): void {
    this.#backlogBytes += bytes;
  }

  /** A finished batch is done with. */
  release(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#backlogBytes -= bytes;
    this.#admit();
  }

  /** Calls back once there is room: well below the bounds, so that a burst is worth its while. */
  onceRoom(listener: () => void): () => void {
    this.#roomListeners.add(listener);
    return () => void this.#roomListeners.delete(listener);
  }

  #admit(): void {
    if (this.#admitting || (this.#waiters.size === 0 && this.#roomListeners.size === 0)) return;
    this.#admitting = true;
    for (const [ticket, { bytes, admit }] of this.#waiters) {
      if (this.#usedBytes + bytes > this.limitBytes) break;
      this.#waiters.delete(ticket);
      admit();
    }
    this.#admitting = false;
    const calm = this.#backlogBytes * 2 <= this.highWaterBytes && !this.isPressed;
    if (!calm || this.#roomListeners.size === 0) return;
    const listeners = [...this.#roomListeners];
    this.#roomListeners.clear();
    for (const listener of listeners) listener();
  }
}
