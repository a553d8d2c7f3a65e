import { heartbeatApi, leaveGroupApi } from '@millrace/protocol';
import { BrokerError, toMillraceError, type MillraceError } from '../errors.js';
import { ConnectionPool } from '../net/connection-pool.js';
import { ignore, settledWithin } from '../util/async.js';
import {
  busySlots,
  IDLE,
  type BusyWith,
  type FoundAt,
  type HeartbeatCommand,
  type HeartbeatFinding,
  type HeartbeatMember,
} from './heartbeat-messages.js';

/** Waits between dials of a coordinator that is not there; a session is short. */
const DIAL_BACKOFF = { initialMs: 50, maximumMs: 1_000 };
/** Longest wait for the next try after a heartbeat that got no answer. */
const RETRY_AFTER_MS = 100;
/**
 * For so long after a rebalance heartbeats go out more often: another one is likely then. Members
 * come and go in bunches, and a cooperative rebalance that moves something is two.
 */
const LIVELY_FOR_MS = 3_000;
const LIVELY_INTERVAL_MS = 200;
/** How long leaving may take before the member's own thread is told anyway. */
const LEAVE_WITHIN_MS = 1_000;
/** How often it is looked at whether a message or a hook takes too long. */
const SAMPLE_MS = { minimum: 10, maximum: 1_000, share: 1 / 20 };

type Tell = (finding: HeartbeatFinding) => void;

/**
 * Sends the heartbeats of any number of members, those with one coordinator over one connection.
 * Runs in a worker thread, so that an application that computes for minutes keeps its partitions.
 */
export class Heartbeats {
  readonly #tell: Tell;
  readonly #beating = new Map<number, Beating>();
  readonly #pools = new Map<string, SharedPool>();

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  apply(command: HeartbeatCommand): void {
    const { id } = command;
    const beating = this.#beating.get(id);
    if (command.type === 'beat' && beating === undefined) {
      const { pool } = this.#acquire(command.member);
      this.#beating.set(id, new Beating(id, command.member, pool, this.#tell));
    } else if (command.type === 'beat') {
      beating?.goOn(command.member);
    } else if (command.type === 'hush') {
      beating?.hush();
    } else if (beating !== undefined) {
      this.#beating.delete(id);
      beating.stop();
      this.#release(beating.clientId);
    }
  }

  close(): void {
    for (const id of [...this.#beating.keys()]) this.apply({ type: 'stop', id });
  }

  #acquire({ clientId, connectTimeoutMs }: HeartbeatMember): SharedPool {
    let shared = this.#pools.get(clientId);
    if (shared === undefined) {
      const reconnectBackoff = DIAL_BACKOFF;
      const options = { clientId, connectTimeoutMs, reconnectBackoff, onEvent: ignore };
      shared = { pool: new ConnectionPool(options), users: 0 };
      this.#pools.set(clientId, shared);
    }
    shared.users += 1;
    return shared;
  }

  #release(clientId: string): void {
    const shared = this.#pools.get(clientId);
    if (shared === undefined) return;
    shared.users -= 1;
    if (shared.users > 0) return;
    this.#pools.delete(clientId);
    shared.pool.close();
  }
}

interface SharedPool {
  readonly pool: ConnectionPool;
  users: number;
}

/** How long the application has been busy with one and the same. */
class Stall {
  readonly busyWith: BusyWith;
  readonly #progress: Int32Array;
  #seen = IDLE;
  #sinceMs = 0;

  constructor(busyWith: BusyWith, progress: Int32Array) {
    this.busyWith = busyWith;
    this.#progress = progress;
  }

  /** @param passedMs since the last look */
  lastsMs(passedMs: number): number {
    const now = Atomics.load(this.#progress, busySlots[this.busyWith]);
    this.#sinceMs = now !== IDLE && now === this.#seen ? this.#sinceMs + passedMs : 0;
    this.#seen = now;
    return this.#sinceMs;
  }
}

/** One member that is kept alive. */
class Beating {
  readonly clientId: string;
  readonly #id: number;
  readonly #pool: ConnectionPool;
  readonly #tell: Tell;
  readonly #stalls: readonly Stall[];
  #member: HeartbeatMember;
  #nextBeat: NodeJS.Timeout | undefined;
  #sampling: NodeJS.Timeout | undefined;
  #waiting = false;
  #hushed = false;
  #stopped = false;
  /** What was told last, so that a main thread that is busy does not drown in repetitions. */
  #told: string | undefined;
  #sampledAtMs = 0;
  #livelyUntilMs = performance.now() + LIVELY_FOR_MS;

  constructor(id: number, member: HeartbeatMember, pool: ConnectionPool, tell: Tell) {
    this.#id = id;
    this.#member = member;
    this.clientId = member.clientId;
    this.#pool = pool;
    this.#tell = tell;
    const progress = new Int32Array(member.progress);
    this.#stalls = [new Stall('message', progress), new Stall('hook', progress)];
    this.#beatIn(this.#intervalMs());
    if (member.maxPollIntervalMs === Infinity) return;
    const { minimum, maximum, share } = SAMPLE_MS;
    const periodMs = Math.min(Math.max(member.maxPollIntervalMs * share, minimum), maximum);
    this.#sampledAtMs = performance.now();
    this.#sampling = setInterval(() => this.#sample(periodMs), periodMs);
  }

  /** The member got a new generation, or its coordinator moved. */
  goOn(member: HeartbeatMember): void {
    if (this.#stopped) return;
    const { memberId, generation, coordinator } = this.#member;
    const isSame =
      member.memberId === memberId &&
      member.generation === generation &&
      member.coordinator.host === coordinator.host &&
      member.coordinator.port === coordinator.port;
    const isHeard = !this.#hushed;
    this.#hushed = false;
    this.#member = member;
    this.#told = undefined;
    if (isSame && isHeard) return;
    this.#livelyUntilMs = performance.now() + LIVELY_FOR_MS;
    this.#beatIn(this.#intervalMs());
  }

  /** No heartbeats before {@link goOn}; what the application does is looked at all the same. */
  hush(): void {
    this.#hushed = true;
    clearTimeout(this.#nextBeat);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#nextBeat);
    clearInterval(this.#sampling);
  }

  #intervalMs(): number {
    const { intervalMs } = this.#member;
    const isLively = performance.now() < this.#livelyUntilMs;
    return isLively ? Math.min(intervalMs, LIVELY_INTERVAL_MS) : intervalMs;
  }

  #beatIn(delayMs: number): void {
    clearTimeout(this.#nextBeat);
    if (this.#stopped || this.#hushed) return;
    this.#nextBeat = setTimeout(() => void this.#beat(), delayMs);
  }

  async #beat(): Promise<void> {
    // An answer is still due: what comes of it decides when the next one goes.
    if (this.#waiting) return;
    this.#waiting = true;
    const member = this.#member;
    const begunMs = performance.now();
    const outcome = await this.#send(member).catch(toMillraceError);
    this.#waiting = false;
    // Of a member that is another by now nothing can be said.
    const isNews = member === this.#member && !this.#hushed && !this.#stopped;
    if (outcome === undefined) {
      if (isNews) this.#told = undefined;
      this.#beatIn(Math.max(0, this.#intervalMs() - (performance.now() - begunMs)));
    } else {
      const isRefused = isNews && this.#onFailed(member, outcome);
      const intervalMs = this.#intervalMs();
      this.#beatIn(isRefused ? intervalMs : Math.min(intervalMs, RETRY_AFTER_MS));
    }
  }

  async #send(member: HeartbeatMember): Promise<void> {
    const { group: groupId, memberId, generation, groupInstanceId } = member;
    const connection = await this.#pool.get('group', member.coordinator);
    // One that is lost must leave time for another within the session.
    const timeoutMs = Math.max(1, Math.floor(member.sessionTimeoutMs / 2));
    const request = { groupId, memberId, generation, groupInstanceId };
    await connection.request(heartbeatApi, request, { timeoutMs });
  }

  /** @returns whether the coordinator has answered: the next one need not go before its time. */
  #onFailed({ memberId, generation }: HeartbeatMember, error: MillraceError): boolean {
    if (error.code === 'COORDINATOR_LOAD_IN_PROGRESS') return false;
    const { code, message } = error;
    const found: FoundAt & { readonly id: number } = { id: this.#id, memberId, generation };
    if (!(error instanceof BrokerError)) {
      this.#tell({ type: 'unreachable', ...found, message });
      return false;
    }
    if (this.#told !== code) this.#tell({ type: 'refused', ...found, error: code, message });
    // Beats go on, for the main thread may be busy and the session must not end meanwhile.
    this.#told = code;
    return true;
  }

  /** A process that was suspended has not handled anything meanwhile: that time does not count. */
  #sample(periodMs: number): void {
    const nowMs = performance.now();
    const passedMs = Math.min(nowMs - this.#sampledAtMs, 2 * periodMs);
    this.#sampledAtMs = nowMs;
    const { maxPollIntervalMs } = this.#member;
    for (const stall of this.#stalls) {
      if (stall.lastsMs(passedMs) <= maxPollIntervalMs) continue;
      void this.#onStuck(stall.busyWith);
      return;
    }
  }

  async #onStuck(busyWith: BusyWith): Promise<void> {
    this.stop();
    const { memberId, generation, groupInstanceId } = this.#member;
    if (groupInstanceId === null) await settledWithin(this.#leave(busyWith), LEAVE_WITHIN_MS);
    this.#tell({ type: 'stuck', id: this.#id, memberId, generation, busyWith });
  }

  async #leave(busyWith: BusyWith): Promise<void> {
    const { group: groupId, memberId, coordinator, maxPollIntervalMs } = this.#member;
    const reason = `one ${busyWith} took longer than maxPollIntervalMs (${maxPollIntervalMs} ms)`;
    const connection = await this.#pool.get('group', coordinator);
    const members = [{ memberId, groupInstanceId: null, reason }];
    await connection.request(leaveGroupApi, { groupId, members }, { timeoutMs: LEAVE_WITHIN_MS });
  }
}
