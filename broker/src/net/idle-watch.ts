/** How long a client may be connected without asking for anything, in milliseconds. */
export interface IdleLimits {
  readonly firstRequestTimeoutMs: number;
  readonly connectionIdleTimeoutMs: number;
}

/** Why a connection that asks for nothing is ended. */
export type IdleReason = 'no request' | 'idle';

/** Notices a client that asks for nothing, by looking now and then. */
export class IdleWatch {
  #asked = false;
  #sinceMs: number;

  /** @param nowMs when the client connected; all times are those of `performance.now()`. */
  constructor(
    private readonly limits: IdleLimits,
    nowMs: number,
  ) {
    this.#sinceMs = nowMs;
  }

  /** A whole request came. */
  asked(nowMs: number): void {
    this.#asked = true;
    this.#sinceMs = nowMs;
  }

  /**
   * Why the connection is to be ended; undefined while it is not.
   * @param busy that a request is under way, or waits for the broker or for the client.
   */
  look(nowMs: number, busy: boolean): IdleReason | undefined {
    const { firstRequestTimeoutMs, connectionIdleTimeoutMs } = this.limits;
    if (busy) this.#sinceMs = nowMs;
    const idleMs = nowMs - this.#sinceMs;
    if (!this.#asked) return idleMs > firstRequestTimeoutMs ? 'no request' : undefined;
    return idleMs > connectionIdleTimeoutMs ? 'idle' : undefined;
  }
}
