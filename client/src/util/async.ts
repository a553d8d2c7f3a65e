import { abortReason, onAbort } from './abort.js';

/** A promise with its two ends in the open. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever waits gets the rejection; with nobody waiting it must not end the process.
    this.promise.catch(ignore);
  }

  resolve(value: T): void {
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#reject(error);
  }
}

/** For rejections that somebody else reports. */
export function ignore(): void {
  // Nothing to do, by intent.
}

/** Rejects with the signal's reason as soon as it is aborted; else settles as the promise does. */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    promise.catch(ignore);
    return Promise.reject(abortReason(signal));
  }
  return new Promise<T>((resolve, reject) => {
    const stop = onAbort(signal, () => reject(abortReason(signal)));
    promise.then(resolve, reject).finally(stop);
  });
}

/** Waits; rejects with the signal's reason when it is aborted first. Keeps the process alive. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.reject(abortReason(signal));
  return new Promise((resolve, reject) => {
    const stop =
      signal === undefined
        ? ignore
        : onAbort(signal, () => {
            clearTimeout(timer);
            reject(abortReason(signal));
          });
    const timer = setTimeout(() => {
      stop();
      resolve();
    }, delayMs);
  });
}

/**
 * Waits for the promise, but no longer than `limitMs`. True when it settled in time (resolved or
 * rejected), false when the time ran out.
 */
export function settledWithin(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(done, done);
  });
}
