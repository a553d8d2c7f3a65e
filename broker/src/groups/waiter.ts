import { ProtocolError } from '@millrace/protocol';

/** A request that waits for its answer. It gets exactly one; what comes later is ignored. */
export class Waiter<Answer> {
  readonly answered: Promise<Answer>;
  #resolve: (answer: Answer) => void = () => undefined;
  #reject: (error: ProtocolError) => void = () => undefined;
  #stopListening: () => void = () => undefined;

  /**
   * @param cancel aborted when nobody will read the answer; a ProtocolError as its reason is the
   *   answer then.
   * @param onGone called when it is aborted while this waits.
   */
  constructor(cancel: AbortSignal | undefined, onGone: () => void) {
    this.answered = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (cancel === undefined) return;
    const gone = (): void => {
      this.fail(cancelReason(cancel));
      onGone();
    };
    cancel.addEventListener('abort', gone, { once: true });
    this.#stopListening = () => {
      cancel.removeEventListener('abort', gone);
    };
  }

  answer(answer: Answer): void {
    this.#stopListening();
    this.#resolve(answer);
  }

  fail(error: ProtocolError): void {
    this.#stopListening();
    this.#reject(error);
  }
}

/** What a request is answered with whose signal is aborted. */
export function cancelReason(cancel: AbortSignal): ProtocolError {
  const reason: unknown = cancel.reason;
  if (reason instanceof ProtocolError) return reason;
  return new ProtocolError('REQUEST_TIMED_OUT', 'the client has given the request up');
}
