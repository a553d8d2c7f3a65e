import type { Cluster } from '../cluster.js';
import { MillraceError } from '../errors.js';
import type { Address } from '../net/address.js';
import { IDLE, type HeartbeatFinding } from './heartbeat-messages.js';
import { heartbeatThread, type HeartbeatHandle } from './heartbeat-thread.js';
import type { ResolvedMembershipOptions } from './options.js';

const MAX_INT32 = 0x7fff_ffff;

/** Keeps a member alive from the heartbeat thread, and tells that thread how the application does. */
export class KeepAlive {
  readonly #cluster: Cluster;
  readonly #options: ResolvedMembershipOptions;
  readonly #handle: HeartbeatHandle;
  readonly #memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #progress = new Int32Array(this.#memory);
  #messages = IDLE;

  constructor(
    cluster: Cluster,
    options: ResolvedMembershipOptions,
    onFinding: (finding: HeartbeatFinding) => void,
  ) {
    this.#cluster = cluster;
    this.#options = options;
    this.#handle = heartbeatThread.register({
      onFinding,
      onThreadLost: (error) => this.#onThreadLost(error),
    });
  }

  /** From now on as this member. */
  beat(memberId: string, generation: number, coordinator: Address): void {
    const { group, groupInstanceId, sessionTimeoutMs, heartbeatIntervalMs } = this.#options;
    const { clientId, connectTimeoutMs } = this.#cluster.pool;
    this.#handle.beat({
      ...{ group, memberId, generation, groupInstanceId, coordinator, clientId },
      ...{ connectTimeoutMs, sessionTimeoutMs, intervalMs: heartbeatIntervalMs },
      maxPollIntervalMs: this.#options.maxPollIntervalMs,
      progress: this.#memory,
    });
  }

  /** A message was taken. Called for every message: one store, no clock. */
  handling(): void {
    this.#messages = this.#messages === MAX_INT32 ? IDLE + 1 : this.#messages + 1;
    Atomics.store(this.#progress, 0, this.#messages);
  }

  idle(): void {
    Atomics.store(this.#progress, 0, IDLE);
  }

  stop(): void {
    this.#handle.stop();
  }

  #onThreadLost(cause: Error): void {
    const message =
      `The heartbeat thread failed (${cause.message}). Heartbeats come from the main thread now: ` +
      'keep it from being busy for longer than sessionTimeoutMs, and see to it that a bundler ' +
      'brings client/dist/group/heartbeat-worker.js along';
    const error = new MillraceError('UNKNOWN_SERVER_ERROR', message, false, { cause });
    this.#cluster.onEvent({ type: 'warning', error });
  }
}
