/** Who holds memory for requests: a connection. */
export interface MemoryUser {
  /** Bytes that it holds; kept by {@link RequestMemory}. */
  heldBytes: number;
  /** A frame of it is incomplete: only reading on can end that. */
  readonly midFrame: boolean;
  /** Whether it may read has changed, perhaps: stops or goes on. Called at any time. */
  review(): void;
}

/**
 * The bound on the memory of all requests of a listener: what was received of frames, complete or not,
 * until they are served, and what they were decoded to.
 *
 * Reading stops where the memory is used up, so it must not wait for memory that only reading on would
 * give back. With `reserve` = an eighth of `maxBytes`:
 *
 * - from `maxBytes` on, until no more than `maxBytes - reserve` are used, only these connections read:
 *   - those that hold nothing, while less than `maxBytes + reserve` are used besides the pass: somebody
 *     whose large frames do not end keeps nobody from small requests;
 *   - the pass: one whose frame is incomplete, the longest waiting, until that frame is complete. The
 *     next one gets it while no more than `maxBytes + 2 × reserve` are used, or when no request is
 *     being served whose memory would come back by itself: then nothing else can go on. Frames that
 *     stall are given up after `requestTimeoutMs`, waiting or not; so this ends in any case.
 * - so `maxBytes + 2 × reserve + maxFrameBytes` are used at most, and what one read may add: a slab, and
 *   the decoded requests in it. (When every connection has begun a frame, each that got the pass may hold
 *   a slab more than before: the beginning of its next frame, which came with the end of the last.)
 */
export class RequestMemory {
  readonly #maxBytes: number;
  readonly #reserveBytes: number;
  readonly #users = new Set<MemoryUser>();
  /** Those that would read but may not, the longest waiting first. */
  readonly #waiting = new Set<MemoryUser>();
  #usedBytes = 0;
  #isScarce = false;
  /** The reserve is used up, too. */
  #isExhausted = false;
  #pass: MemoryUser | undefined;
  #scheduled = false;
  /** Requests with memory that are being served: they give it back by themselves. */
  #serving = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#reserveBytes = Math.ceil(maxBytes / 8);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The bound is reached: only what must go on should take more, and no more than it needs. */
  get isScarce(): boolean {
    return this.#isScarce;
  }

  /** Connections that do not read for want of memory. */
  get waiting(): number {
    return this.#waiting.size;
  }

  join(user: MemoryUser): void {
    this.#users.add(user);
  }

  /** The user reads no more; what it still holds it gives back later. */
  leave(user: MemoryUser): void {
    this.#users.delete(user);
    this.#waiting.delete(user);
    this.frameEnded(user);
  }

  /** Whether the user may read; if not, it is told by `review` when that may have changed. */
  mayRead(user: MemoryUser): boolean {
    const may =
      !this.#isScarce || this.#pass === user || (user.heldBytes === 0 && !this.#isExhausted);
    if (may) this.#waiting.delete(user);
    else this.#waiting.add(user);
    if (!may && this.#pass === undefined) this.#schedule();
    return may;
  }

  /** A frame of the user is complete or given up; its pass goes to the next. */
  frameEnded(user: MemoryUser): void {
    if (this.#pass !== user) return;
    this.#pass = undefined;
    this.#schedule();
  }

  /** A request that lies in counted memory is being served; {@link give} follows {@link served}. */
  serving(): void {
    this.#serving += 1;
  }

  served(): void {
    this.#serving -= 1;
  }

  take(user: MemoryUser, bytes: number): void {
    user.heldBytes += bytes;
    this.#usedBytes += bytes;
    const scarce = this.#usedBytes >= this.#maxBytes;
    const exhausted = this.#usedBesidesPass() >= this.#maxBytes + this.#reserveBytes;
    if ((!scarce || this.#isScarce) && (!exhausted || this.#isExhausted)) return;
    this.#isScarce = true;
    this.#isExhausted ||= exhausted;
    // At once: each that goes on reading may take a slab.
    for (const each of this.#users) each.review();
  }

  give(user: MemoryUser, bytes: number): void {
    user.heldBytes -= bytes;
    this.#usedBytes -= bytes;
    if (this.#isScarce) this.#schedule();
  }

  /** Looks who may go on once the code that runs now is done. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#relax();
    });
  }

  #relax(): void {
    if (!this.#isScarce) return;
    if (this.#usedBytes > this.#maxBytes - this.#reserveBytes) this.#grantPass();
    else this.#isScarce = false;
    const wasExhausted = this.#isExhausted;
    if (this.#usedBesidesPass() <= this.#maxBytes) this.#isExhausted = false;
    if (!this.#isScarce) this.#pass = undefined;
    if (this.#isScarce && this.#isExhausted === wasExhausted) return;
    for (const user of [...this.#waiting]) user.review();
  }

  #usedBesidesPass(): number {
    return this.#usedBytes - (this.#pass?.heldBytes ?? 0);
  }

  #grantPass(): void {
    if (this.#pass !== undefined) return;
    const room = this.#usedBytes <= this.#maxBytes + 2 * this.#reserveBytes;
    if (!room && this.#serving > 0) return;
    for (const user of this.#waiting) {
      if (!user.midFrame) continue;
      this.#pass = user;
      user.review();
      return;
    }
  }
}
