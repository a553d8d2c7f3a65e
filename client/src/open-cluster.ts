import { Cluster } from './cluster.js';
import { safeListener } from './events.js';
import { ConnectionPool } from './net/connection-pool.js';
import type { ResolvedClientOptions } from './options.js';
import type { BackoffOptions } from './util/backoff.js';

/** Waits between the retries of metadata, admin and fetch requests. */
const RETRY_BACKOFF: BackoffOptions = { initialMs: 50, maximumMs: 2_000 };

/** The cluster that a client's options describe, with its pool. Dials nothing before it is needed. */
export function openCluster(options: ResolvedClientOptions): Cluster {
  const { clientId, connectTimeoutMs, reconnectBackoff, requestTimeoutMs } = options;
  const onEvent = safeListener(options.onEvent);
  const pool = new ConnectionPool({ clientId, connectTimeoutMs, reconnectBackoff, onEvent });
  return new Cluster(pool, {
    brokers: options.brokers,
    requestTimeoutMs,
    metadataMaxAgeMs: options.metadataMaxAgeMs,
    retryBackoff: RETRY_BACKOFF,
    onEvent,
  });
}
