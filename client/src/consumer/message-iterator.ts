import { ignore } from '../util/async.js';
import type { FetchedBatch } from './fetched-batch.js';
import type { Delivery } from './delivery.js';
import type { LoopTurns } from './loop-turns.js';
import type { Message } from './message.js';
import type { PendingCalls } from './pending-calls.js';

/** What the iterator needs from its consumer. */
export interface MessageSource {
  readonly delivery: Delivery;
  readonly calls: PendingCalls;
  readonly turns: LoopTurns;
  /** Another `next()` is called, see {@link PendingCalls.begin}. */
  readonly onCall: () => void;
  /** Lets the event loop turn. */
  readonly turn: () => Promise<void>;
  /** Moves on to the next batch; undefined at the end. */
  readonly nextBatch: () => Promise<FetchedBatch | undefined>;
  /** Called with every message that is given out. */
  readonly onMessage?: (() => void) | undefined;
  readonly close: () => Promise<void>;
}

type Result = IteratorResult<Message, undefined>;

const SOON = Promise.resolve();

/** Hands out the messages of batch after batch; calls that overlap are served in order. */
export class MessageIterator implements AsyncIterator<Message, undefined> {
  readonly #source: MessageSource;
  /** The application has the answer to the call that was answered at once. */
  readonly #onAnswered: () => void;
  #tail: Promise<Result> | undefined;

  constructor(source: MessageSource) {
    this.#source = source;
    this.#onAnswered = () => source.calls.end();
  }

  next(): Promise<Result> {
    const { calls, turns, delivery, onMessage, onCall } = this.#source;
    // Alone, as in a loop: the message in hand is handled by this call, and replaced at once.
    const isTurnDue = turns.isDue();
    if (isTurnDue || calls.pending > 0 || calls.haveOverlapped) return this.#queue(isTurnDue);
    let value: Message | undefined;
    try {
      value = delivery.nextMessage();
    } catch (error) {
      onCall();
      return this.#endWith(error).finally(this.#onAnswered);
    }
    if (value === undefined) return this.#queue(false);
    onMessage?.();
    calls.begin();
    // Before whoever awaits this goes on: calls until then overlap.
    void SOON.then(this.#onAnswered);
    return Promise.resolve({ done: false, value });
  }

  async return(): Promise<Result> {
    await this.#source.close();
    return { done: true, value: undefined };
  }

  #queue(isTurnDue: boolean): Promise<Result> {
    this.#source.onCall();
    const tail = (this.#tail ?? SOON).then(() => this.#advance(isTurnDue));
    this.#tail = tail;
    // Before whoever awaits it goes on.
    const settled = (): void => {
      this.#onAnswered();
      if (this.#tail === tail) this.#tail = undefined;
    };
    tail.then(settled, settled);
    return tail;
  }

  async #advance(isTurnDue: boolean): Promise<Result> {
    const { turn, delivery, onMessage, nextBatch } = this.#source;
    if (isTurnDue) await turn();
    for (;;) {
      try {
        const value = delivery.nextMessage();
        if (value !== undefined) {
          onMessage?.();
          return { done: false, value };
        }
      } catch (error) {
        return await this.#endWith(error);
      }
      const batch = await nextBatch();
      if (batch === undefined) return { done: true, value: undefined };
    }
  }

  async #endWith(error: unknown): Promise<never> {
    await this.#source.close().catch(ignore);
    throw error;
  }
}
