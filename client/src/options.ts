import { InvalidArgumentError } from './errors.js';
import type { EventListener } from './events.js';
import { parseAddress, type Address } from './net/address.js';
import { integerOption } from './util/check.js';
import { checkKeys, type KeysOf } from './util/known-keys.js';
import type { BackoffOptions } from './util/backoff.js';

/** Defaults of a client, in milliseconds. */
export const clientDefaults = {
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  closeTimeoutMs: 10_000,
  metadataMaxAgeMs: 300_000,
  reconnectBackoffMs: 50,
  reconnectBackoffMaxMs: 2_000,
} as const;

/** How one call may be cut short. */
export interface SignalOption {
  /** Aborting makes the call reject with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a client. */
export interface ClientOptions {
  /** Where to find the cluster: `host:port` each. One that can be reached is enough. */
  readonly brokers: readonly string[];
  /** What this application calls itself in front of the broker. Default `'millrace'`. */
  readonly clientId?: string | undefined;
  /** From the dial to the checked protocol versions. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * How long a response may take (a fetch's `maxWaitMs` on top), and how long admin calls retry.
   * Default 30,000.
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * How long `close()` waits for messages to be delivered, and for positions to be committed and
   * groups to be left. Default 10,000.
   */
  readonly closeTimeoutMs?: number | undefined;
  /**
   * After how long what is known of topics is asked for anew, so that added partitions and new
   * topics are found (Kafka's `metadata.max.age.ms`). Default 300,000.
   */
  readonly metadataMaxAgeMs?: number | undefined;
  /** Wait before the second dial; doubled for each further one, with ±20 % jitter. Default 50. */
  readonly reconnectBackoffMs?: number | undefined;
  /** Longest wait between dials. Default 2,000. */
  readonly reconnectBackoffMaxMs?: number | undefined;
  /** For logs and debugging: connections, retries, warnings. */
  readonly onEvent?: EventListener | undefined;
}

/** Options with every default filled in. */
export interface ResolvedClientOptions {
  readonly brokers: readonly Address[];
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly metadataMaxAgeMs: number;
  readonly reconnectBackoff: BackoffOptions;
  readonly onEvent: EventListener | undefined;
}

const optionKeys: KeysOf<ClientOptions> = {
  brokers: true,
  clientId: true,
  connectTimeoutMs: true,
  requestTimeoutMs: true,
  closeTimeoutMs: true,
  metadataMaxAgeMs: true,
  reconnectBackoffMs: true,
  reconnectBackoffMaxMs: true,
  onEvent: true,
};

/** @throws InvalidArgumentError that names the option and what it takes. */
export function resolveClientOptions(options: ClientOptions): ResolvedClientOptions {
  checkKeys('client option', options, optionKeys);
  const d = clientDefaults;
  const { brokers, clientId = 'millrace' } = options;
  if (!Array.isArray(brokers) || brokers.length === 0) {
    throw new InvalidArgumentError("brokers must name at least one, such as ['127.0.0.1:7070']");
  }
  if (typeof clientId !== 'string' || clientId.length > 249) {
    throw new InvalidArgumentError('clientId must be a string of at most 249 characters');
  }
  const time = { minimum: 1, maximum: 86_400_000 };
  const initialMs = integerOption(
    'reconnectBackoffMs',
    options.reconnectBackoffMs,
    d.reconnectBackoffMs,
    time,
  );
  const maximumMs = integerOption(
    'reconnectBackoffMaxMs',
    options.reconnectBackoffMaxMs,
    Math.max(d.reconnectBackoffMaxMs, initialMs),
    { minimum: initialMs, maximum: time.maximum },
  );
  const limit = (name: keyof typeof d & keyof ClientOptions): number =>
    integerOption(name, options[name], d[name], time);
  return {
    brokers: brokers.map((broker) => parseAddress(String(broker))),
    clientId,
    connectTimeoutMs: limit('connectTimeoutMs'),
    requestTimeoutMs: limit('requestTimeoutMs'),
    closeTimeoutMs: limit('closeTimeoutMs'),
    metadataMaxAgeMs: limit('metadataMaxAgeMs'),
    reconnectBackoff: { initialMs, maximumMs },
    onEvent: options.onEvent,
  };
}
