import { ClosedError } from '../errors.js';
import type { EventListener } from '../events.js';
import { ignore, raceAbort, sleep } from '../util/async.js';
import { backoffMs, type BackoffOptions } from '../util/backoff.js';
import { formatAddress, type Address } from './address.js';
import { Connection } from './connection.js';
import { GroupPurposes, type GroupPurpose } from './group-purposes.js';

/**
 * What a connection is for. Each purpose has a connection of its own, so that a fetch that waits,
 * a large produce request or a join that waits for others never holds up anything else.
 */
export type Purpose = 'admin' | 'produce' | 'fetch' | GroupPurpose;

/** What all connections of a client have in common. */
export interface PoolOptions {
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  readonly reconnectBackoff: BackoffOptions;
  readonly onEvent: EventListener;
}

interface Slot {
  connection: Connection | undefined;
  dialing: Promise<Connection> | undefined;
  /** Dials that failed, and connections lost before they were of use, in a row. */
  failures: number;
  /** No dial before this (`performance.now()`). */
  notBeforeMs: number;
}

/** One connection per purpose and broker, dialled when it is first needed and again when lost. */
export class ConnectionPool {
  /** Which of the connections for joins a member of a group uses. */
  readonly groupPurposes = new GroupPurposes();
  readonly #options: PoolOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #closing = new AbortController();

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** What this application calls itself. */
  get clientId(): string {
    return this.#options.clientId;
  }

  /** From the dial to the checked protocol versions. */
  get connectTimeoutMs(): number {
    return this.#options.connectTimeoutMs;
  }

  /** The connection, when there is one that works. */
  peek(purpose: Purpose, address: Address): Connection | undefined {
    const connection = this.#slots.get(slotKey(purpose, address))?.connection;
    return connection?.closed === false ? connection : undefined;
  }

  /**
   * The connection; dials when there is none, after the backoff that earlier failures ask for.
   * Several callers share one dial. One call is one attempt: retrying is the caller's.
   *
   * @throws ConnectionError, NotMillraceError, UnsupportedVersionError, ClosedError; the signal's
   *   reason (the dial goes on for the others).
   */
  get(purpose: Purpose, address: Address, signal?: AbortSignal): Promise<Connection> {
    if (this.#closing.signal.aborted) return Promise.reject(closedError());
    const key = slotKey(purpose, address);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = { connection: undefined, dialing: undefined, failures: 0, notBeforeMs: 0 };
      this.#slots.set(key, slot);
    }
    if (slot.connection?.closed === false) return Promise.resolve(slot.connection);
    if (slot.dialing === undefined) {
      slot.dialing = this.#dial(slot, purpose, address);
      slot.dialing.catch(ignore);
    }
    return raceAbort(slot.dialing, signal);
  }

  /** Closes every connection and ends every dial and backoff at once. */
  close(): void {
    this.#closing.abort(closedError());
    for (const { connection } of this.#slots.values()) connection?.close(closedError());
    this.#slots.clear();
  }

  async #dial(slot: Slot, purpose: Purpose, address: Address): Promise<Connection> {
    const { signal } = this.#closing;
    try {
      const waitMs = slot.notBeforeMs - performance.now();
      if (waitMs > 0) await sleep(waitMs, signal);
      const connection = await Connection.open(
        {
          ...this.#options,
          address,
          purpose,
          onClose: () => this.#onLost(slot),
        },
        signal,
      );
      if (signal.aborted) {
        connection.close(closedError());
        throw closedError();
      }
      slot.connection = connection;
      return connection;
    } catch (error) {
      this.#backOff(slot);
      throw error;
    } finally {
      slot.dialing = undefined;
    }
  }

  #onLost(slot: Slot): void {
    const { connection } = slot;
    // One that never came to be is counted where it was dialled.
    if (connection === undefined) return;
    slot.connection = undefined;
    // A broker that accepts and hangs up again is not reached in a tight loop either.
    if (connection.proven) slot.failures = 0;
    this.#backOff(slot);
  }

  #backOff(slot: Slot): void {
    slot.failures += 1;
    slot.notBeforeMs = performance.now() + backoffMs(this.#options.reconnectBackoff, slot.failures);
  }
}

function slotKey(purpose: Purpose, address: Address): string {
  return `${purpose} ${formatAddress(address)}`;
}

function closedError(): ClosedError {
  return new ClosedError('The client was closed');
}
