import type { Logger } from 'pino';
import type { Clock } from './clock.js';
import type { GroupCoordinator } from './coordinator.js';

/** Lets the coordinator look for offsets that are too old, again and again, one look at a time. */
export class OffsetExpiry {
  #cancel: () => void = () => undefined;
  #closed = false;

  constructor(
    private readonly coordinator: Pick<GroupCoordinator, 'expireOffsets'>,
    private readonly clock: Clock,
    /** Milliseconds from the end of one look to the beginning of the next. */
    private readonly intervalMs: number,
    private readonly logger: Logger,
  ) {
    this.#schedule();
  }

  /** No more looks begin. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancel = this.clock.after(this.intervalMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      await this.coordinator.expireOffsets();
    } catch (error) {
      if (!this.#closed) {
        this.logger.warn(
          { err: error },
          'offsets that are too old could not be removed; later again',
        );
      }
    }
    this.#schedule();
  }
}
