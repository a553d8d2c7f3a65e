const callbacks = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back once when the signal is aborted (not when it is already). However many wait for one
 * signal, it gets a single listener: thousands of sends may share one, and EventTarget warns
 * beyond ten.
 *
 * @returns the way to stop.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let waiting = callbacks.get(signal);
  if (waiting === undefined) {
    const all = new Set<() => void>();
    waiting = all;
    callbacks.set(signal, all);
    const listener = (): void => {
      callbacks.delete(signal);
      for (const each of [...all]) each();
    };
    signal.addEventListener('abort', listener, { once: true });
  }
  const own = (): void => callback();
  waiting.add(own);
  const all = waiting;
  return () => void all.delete(own);
}

/** What an aborted signal throws: its reason, made an Error where it is none. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error(`Aborted: ${String(reason)}`);
}

/** @throws the reason of a signal that is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortReason(signal);
}
