/** A log that has appended something which is not yet synced and checkpointed. */
export interface Flushable {
  /** Does what is due; false once there is nothing left to do. Must not throw. */
  tick(nowMs: number): boolean;
}

/** How often logs with un-synced bytes are looked at. */
export const FLUSH_TICK_MS = 100;

/** Sees to it that every append is synced within `flush.ms`. Costs nothing once all of them are checkpointed. */
export class FlushScheduler {
  readonly #logs = new Set<Flushable>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly now: () => number) {}

  add(log: Flushable): void {
    this.#logs.add(log);
    this.#timer ??= setInterval(() => this.#tick(), FLUSH_TICK_MS).unref();
  }

  remove(log: Flushable): void {
    this.#logs.delete(log);
  }

  close(): void {
    this.#logs.clear();
    this.#stop();
  }

  #tick(): void {
    const nowMs = this.now();
    for (const log of this.#logs) {
      if (!log.tick(nowMs)) this.#logs.delete(log);
    }
    if (this.#logs.size === 0) this.#stop();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
