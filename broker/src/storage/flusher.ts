interface Waiter {
  readonly lsn: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Group commit: one sync at a time covers everything appended before it began, and everybody who waits
 * for that. Positions are log sequence numbers, bytes appended since the log was opened.
 */
export class Flusher {
  #syncedLsn = 0;
  #running: Promise<void> | undefined;
  #again = false;
  #failure: Error | undefined;
  #postponed: Error | undefined;
  #waiters: Waiter[] = [];

  /**
   * @param sync makes everything appended so far durable and resolves to how far that was. A
   *   rejection is final, the call is never made again, unless
   * @param isPassing says that nothing was asked of the device: then whoever waits goes on waiting,
   *   for a sync that somebody {@link start}s later. Default: never.
   */
  constructor(
    private readonly sync: () => Promise<number>,
    private readonly isPassing: (error: unknown) => boolean = () => false,
  ) {}

  get syncedLsn(): number {
    return this.#syncedLsn;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Why nothing will ever be synced again. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** What kept the last sync from being made, if it is to be started again. */
  get postponed(): Error | undefined {
    return this.#postponed;
  }

  /** Resolves when the log is durable up to `lsn`; rejects when it never will be. */
  waitFor(lsn: number): Promise<void> {
    if (lsn <= this.#syncedLsn) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ lsn, resolve, reject });
      // One that runs is followed by another only if somebody still waits then.
      if (this.#running === undefined) this.start();
    });
  }

  /** Starts a sync, or one more behind the one that runs. Its outcome reaches the waiters. */
  start(): void {
    if (this.#failure !== undefined) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#running = this.#run();
  }

  /** Resolves when no sync is running or due. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** A part of what is being synced is durable already: up to `lsn`. */
  advance(lsn: number): void {
    if (lsn <= this.#syncedLsn) return;
    this.#syncedLsn = lsn;
    this.#resolveWaiters();
  }

  /** Ends all syncing: who waits, or comes later, gets `error`. */
  fail(error: Error): void {
    this.#failure ??= error;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(this.#failure);
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      this.#postponed = undefined;
      try {
        this.advance(await this.sync());
      } catch (error) {
        const reason = error instanceof Error ? error : new Error(String(error));
        if (this.isPassing(error)) this.#postponed = reason;
        else this.fail(reason);
        break;
      }
    } while (this.#wanted());
    this.#running = undefined;
  }

  /** A method, for the flags change while `#run` awaits. */
  #wanted(): boolean {
    return this.#failure === undefined && (this.#again || this.#waiters.length > 0);
  }

  #resolveWaiters(): void {
    const waiting: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.lsn <= this.#syncedLsn) waiter.resolve();
      else waiting.push(waiter);
    }
    this.#waiters = waiting;
  }
}
