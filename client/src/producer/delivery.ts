import type { MillraceError } from '../errors.js';
import { abortReason, onAbort } from '../util/abort.js';
import { Deferred } from '../util/async.js';
import type { Delivery } from './batch.js';
import type { RecordMetadata } from './message.js';

/** The promise of one `send`. */
export class SingleDelivery implements Delivery {
  readonly #resolve: (metadata: RecordMetadata) => void;
  readonly #reject: (error: unknown) => void;
  readonly #stopListening: (() => void) | undefined;
  #leave: (() => boolean) | undefined;

  constructor(
    resolve: (metadata: RecordMetadata) => void,
    reject: (error: unknown) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    if (signal === undefined) return;
    this.#stopListening = onAbort(signal, () => {
      this.#leave?.();
      reject(abortReason(signal));
    });
  }

  /** What to do when aborted while the message waits for room. */
  onAbort(leave: () => boolean): void {
    this.#leave = leave;
  }

  delivered(metadata: RecordMetadata): void {
    this.#stopListening?.();
    this.#resolve(metadata);
  }

  failed(error: MillraceError): void {
    this.#stopListening?.();
    this.#reject(error);
  }
}

/** The promise of a `sendBatch`: settles once every message of it is settled. */
export class BatchDelivery {
  readonly #deferred = new Deferred<RecordMetadata[]>();
  readonly #results: RecordMetadata[];
  #open: number;
  #failure: MillraceError | undefined;

  constructor(count: number) {
    this.#open = count;
    this.#results = new Array<RecordMetadata>(count);
    if (count === 0) this.#deferred.resolve([]);
  }

  get promise(): Promise<RecordMetadata[]> {
    return this.#deferred.promise;
  }

  /** The delivery of the message at the index. */
  slot(index: number): Delivery {
    return {
      delivered: (metadata) => {
        this.#results[index] = metadata;
        this.#settle();
      },
      failed: (error) => {
        this.#failure ??= error;
        this.#settle();
      },
    };
  }

  #settle(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    if (this.#failure === undefined) this.#deferred.resolve(this.#results);
    else this.#deferred.reject(this.#failure);
  }
}
