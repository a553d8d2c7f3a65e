import { ignore } from '../util/async.js';
import type { FetchedBatch } from './fetched-batch.js';
import type { Delivery } from './delivery.js';
import type { Message } from './message.js';

/** What the iterator needs from its consumer. */
export interface MessageSource {
  readonly delivery: Delivery;
  /** Moves on to the next batch; undefined at the end. */
  readonly nextBatch: () => Promise<FetchedBatch | undefined>;
  /** Called with every message that is given out. */
  readonly onMessage?: (() => void) | undefined;
  readonly close: () => Promise<void>;
}

/** Hands out the messages of batch after batch; calls that overlap are served in order. */
export class MessageIterator implements AsyncIterator<Message, undefined> {
  readonly #source: MessageSource;
  #tail: Promise<IteratorResult<Message, undefined>> | undefined;

  constructor(source: MessageSource) {
    this.#source = source;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#tail === undefined) {
      try {
        const value = this.#source.delivery.nextMessage();
        if (value !== undefined) {
          this.#source.onMessage?.();
          return Promise.resolve({ done: false, value });
        }
      } catch (error) {
        return this.#endWith(error);
      }
    }
    const tail: Promise<IteratorResult<Message, undefined>> = (
      this.#tail ?? Promise.resolve()
    ).then(() => this.#advance());
    this.#tail = tail;
    const settled = (): void => {
      if (this.#tail === tail) this.#tail = undefined;
    };
    tail.then(settled, settled);
    return tail;
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    await this.#source.close();
    return { done: true, value: undefined };
  }

  async #advance(): Promise<IteratorResult<Message, undefined>> {
    for (;;) {
      try {
        const value = this.#source.delivery.nextMessage();
        if (value !== undefined) {
          this.#source.onMessage?.();
          return { done: false, value };
        }
      } catch (error) {
        return await this.#endWith(error);
      }
      const batch = await this.#source.nextBatch();
      if (batch === undefined) return { done: true, value: undefined };
    }
  }

  async #endWith(error: unknown): Promise<never> {
    await this.#source.close().catch(ignore);
    throw error;
  }
}
