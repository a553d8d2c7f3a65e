import type { Outlet } from './outlet.js';
import type { OutboundQueue } from './outbound-queue.js';

/** Notices a client that takes none of what waits for it, by looking now and then. */
export class SendStall {
  readonly #queue: Pick<OutboundQueue, 'bytes' | 'sentBytes' | 'waitsForClient'>;
  readonly #outlet: Pick<Outlet, 'pendingBytes' | 'pendingMark'>;
  readonly #timeoutMs: number;
  /** Since when nothing moved; undefined while nothing waits for the client. */
  #sinceMs: number | undefined;
  #sentBytes = 0;
  #pendingMark = 0;

  constructor(
    queue: Pick<OutboundQueue, 'bytes' | 'sentBytes' | 'waitsForClient'>,
    outlet: Pick<Outlet, 'pendingBytes' | 'pendingMark'>,
    timeoutMs: number,
  ) {
    this.#queue = queue;
    this.#outlet = outlet;
    this.#timeoutMs = timeoutMs;
  }

  /** Bytes that wait for the client. */
  get queuedBytes(): number {
    return this.#queue.bytes + this.#outlet.pendingBytes;
  }

  /** Whether bytes wait and none moved for longer than the timeout. */
  isOver(nowMs: number): boolean {
    const { sentBytes, waitsForClient } = this.#queue;
    const { pendingBytes, pendingMark } = this.#outlet;
    const waits = waitsForClient || pendingBytes > 0;
    const moved = sentBytes !== this.#sentBytes || pendingMark !== this.#pendingMark;
    this.#sentBytes = sentBytes;
    this.#pendingMark = pendingMark;
    if (!waits) this.#sinceMs = undefined;
    else if (moved || this.#sinceMs === undefined) this.#sinceMs = nowMs;
    return this.#sinceMs !== undefined && nowMs - this.#sinceMs > this.#timeoutMs;
  }
}
