import { DeliveryError, toMillraceError, type MillraceError } from '../errors.js';
import { quoted } from '../util/text.js';
import type { Delivery } from './batch.js';
import type { MemoryBudget } from './memory-budget.js';
import type { TopicQueues } from './topic-queues.js';

/** Sends that wait for room in the producer's buffer, first come first served. */
export class WaitingLine {
  readonly #budget: MemoryBudget;
  readonly #deliveryTimeoutMs: number;
  readonly #waiting = new Set<(error: MillraceError) => void>();

  constructor(budget: MemoryBudget, deliveryTimeoutMs: number) {
    this.#budget = budget;
    this.#deliveryTimeoutMs = deliveryTimeoutMs;
  }

  /**
   * Waits until the bytes fit, for no longer than the delivery timeout.
   *
   * @param admit takes the message; what it throws fails the delivery.
   * @returns the way to leave the line; false when the message was taken before.
   * @throws BufferFullError when the line is as long as it may be.
   */
  join(topic: TopicQueues, bytes: number, delivery: Delivery, admit: () => void): () => boolean {
    const leaveBudget = this.#budget.wait(bytes, () => {
      gone();
      try {
        admit();
      } catch (error) {
        delivery.failed(toMillraceError(error));
      }
    });
    const leave = (): boolean => {
      gone();
      return leaveBudget();
    };
    const fail = (error: MillraceError): void => {
      if (leave()) delivery.failed(error);
    };
    const timer = setTimeout(() => fail(this.#tooLate(topic)), this.#deliveryTimeoutMs);
    const gone = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(fail);
    };
    this.#waiting.add(fail);
    return leave;
  }

  /** Fails all that wait. */
  dismiss(error: MillraceError): void {
    for (const fail of [...this.#waiting]) fail(error);
  }

  #tooLate({ name, queues, lastError }: TopicQueues): DeliveryError {
    const cause = lastError ?? queues.find((queue) => queue.lastError !== undefined)?.lastError;
    const because = cause === undefined ? '' : `: ${cause.message}`;
    return new DeliveryError(
      `1 message for ${quoted(name)} was not delivered, for there was no room in the producer's ` +
        `buffer within the delivery timeout of ${this.#deliveryTimeoutMs} ms${because}`,
      { topic: name, attempts: 0, messageCount: 1, cause },
    );
  }
}
