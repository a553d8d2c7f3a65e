import type { EventListener } from './events.js';
import type { Address } from './net/address.js';
import type { BackoffOptions } from './util/backoff.js';

/** What a cluster needs from its client. */
export interface ClusterOptions {
  readonly brokers: readonly Address[];
  readonly requestTimeoutMs: number;
  /** Default that of {@link clientDefaults}. */
  readonly metadataMaxAgeMs?: number | undefined;
  readonly retryBackoff: BackoffOptions;
  readonly onEvent: EventListener;
}

/** A response and who gave it. */
export interface Answer<Response> {
  readonly response: Response;
  /** `host:port` */
  readonly broker: string;
}

/** Limits of one call. */
export interface CallLimits {
  readonly signal?: AbortSignal | undefined;
  /** How long a retriable failure is retried; default `requestTimeoutMs`. */
  readonly retryForMs?: number | undefined;
}
