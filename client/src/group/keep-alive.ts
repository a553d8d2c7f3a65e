import type { Cluster } from '../cluster.js';
import { MillraceError } from '../errors.js';
import type { Address } from '../net/address.js';
import { busySlots, IDLE, type HeartbeatFinding } from './heartbeat-messages.js';
import { heartbeatThread, type HeartbeatHandle } from './heartbeat-thread.js';
import type { ResolvedMembershipOptions } from './options.js';

const MAX_INT32 = 0x7fff_ffff;

/** Keeps a member alive from the heartbeat thread, and tells that thread how the application does. */
export class KeepAlive {
  readonly #cluster: Cluster;
  readonly #options: ResolvedMembershipOptions;
  readonly #handle: HeartbeatHandle;
  readonly #memory = new SharedArrayBuffer(
    Object.keys(busySlots).length * Int32Array.BYTES_PER_ELEMENT,
  );
  readonly #progress = new Int32Array(this.#memory);
  #messages = IDLE;
  #hooks = IDLE;
  #hook = '';

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

  /**
   * The group has thrown the member out. A coordinator that comes back may know it still, and would wait for
   * it in every rebalance while it is heard of.
   */
  hush(): void {
    this.#handle.hush();
  }

  /**
   * A message was taken. Called for every message: one store, no clock. A plain one, for an atomic
   * one waits for all stores before it, and this orders nothing: the heartbeat thread only has to
   * see some other number within seconds.
   */
  handling(): void {
    this.#messages = next(this.#messages);
    this.#progress[busySlots.message] = this.#messages;
  }

  idle(): void {
    Atomics.store(this.#progress, busySlots.message, IDLE);
  }

  /** The last hook that was begun, in words. */
  get hook(): string {
    return this.#hook;
  }

  busyWith(hook: string): void {
    this.#hook = hook;
    this.#hooks = next(this.#hooks);
    Atomics.store(this.#progress, busySlots.hook, this.#hooks);
  }

  doneWith(): void {
    Atomics.store(this.#progress, busySlots.hook, IDLE);
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

function next(count: number): number {
  return count === MAX_INT32 ? IDLE + 1 : count + 1;
}
