import type { MillraceError } from './errors.js';

/**
 * What happens inside a client, for logs and debugging. Nothing needs to be done about any of it,
 * except that a `warning` deserves to be read.
 */
export type ClientEvent =
  | { readonly type: 'connected'; readonly broker: string; readonly purpose: string }
  | {
      readonly type: 'disconnected';
      readonly broker: string;
      readonly purpose: string;
      readonly error: MillraceError | undefined;
    }
  /** A response that nobody waits for (any more); it is dropped. */
  | { readonly type: 'unknown-response'; readonly broker: string; readonly correlationId: number }
  /** Something failed and is tried again after the delay. */
  | {
      readonly type: 'retry';
      readonly action: string;
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: MillraceError;
    }
  /** A consumer of a group joins again, or has got its partitions. */
  | {
      readonly type: 'rebalance';
      readonly group: string;
      /** Empty before the first join. */
      readonly memberId: string;
      readonly phase: 'joining' | 'assigned';
      /** Why it joins; with `assigned` what it was that brought it about. */
      readonly reason: string;
      /** -1 while it has none. */
      readonly generation: number;
      /** How many partitions it owns, what it is giving up included. */
      readonly partitions: number;
    }
  /** Something that somebody should know of, such as an {@link AcknowledgedLossError}. */
  | { readonly type: 'warning'; readonly error: MillraceError };

/** Receives events; must be quick. What it throws is dropped. */
export type EventListener = (event: ClientEvent) => void;

/** The listener made safe to call from anywhere. */
export function safeListener(listener: EventListener | undefined): EventListener {
  return (event) => {
    try {
      listener?.(event);
    } catch {
      // A listener that throws must not break the connection that it listens to.
    }
  };
}
