import type { AcknowledgedLossError, MillraceError } from '../errors.js';
import type { EventListener } from '../events.js';
import type { DeliveryFailure, ProducerOptions } from './options.js';

/** Failures that no promise carries: told to `onError`, and kept for the next flush. */
export class FailureLog {
  readonly #onError: ProducerOptions['onError'];
  readonly #onEvent: EventListener;
  #first: MillraceError | undefined;

  constructor(onError: ProducerOptions['onError'], onEvent: EventListener) {
    this.#onError = onError;
    this.#onEvent = onEvent;
  }

  /** Enqueued messages were not delivered. */
  report(error: MillraceError, failure: DeliveryFailure): void {
    this.#first ??= error;
    this.#tell(error, failure);
  }

  /** A loss is told one way or another, for nothing else will fail because of it. */
  warn(error: AcknowledgedLossError, where: { topic: string; partition: number }): void {
    const { topic, partition } = where;
    this.#onEvent({ type: 'warning', error });
    if (this.#onError === undefined) process.emitWarning(error);
    else this.#tell(error, { topic, partition, messageCount: 0 });
  }

  /** @throws the first error since the last call, if there was any. */
  throwFirst(): void {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) throw first;
  }

  #tell(error: MillraceError, failure: DeliveryFailure): void {
    const onError = this.#onError;
    if (onError === undefined) return;
    // What the application throws there is its own and must not stop the deliveries.
    queueMicrotask(() => onError(error, failure));
  }
}
