import type { MillraceError } from '../errors.js';
import type { Address } from '../net/address.js';

/** A member to keep alive; goes to the worker, so it holds nothing but plain values. */
export interface HeartbeatMember {
  readonly group: string;
  readonly memberId: string;
  readonly generation: number;
  readonly groupInstanceId: string | null;
  /** Where the coordinator of the group listens. */
  readonly coordinator: Address;
  readonly clientId: string;
  readonly connectTimeoutMs: number;
  readonly intervalMs: number;
  readonly sessionTimeoutMs: number;
  /** Infinity = off. */
  readonly maxPollIntervalMs: number;
  /**
   * For each of {@link busySlots} {@link IDLE}, or a number that changes whenever the application
   * gets on: with every message that it takes, with every hook that begins.
   */
  readonly progress: SharedArrayBuffer;
}

/** In `progress`: nothing keeps the application busy; it waits for a message. */
export const IDLE = 0;

/** What an application can be busy with, and where in `progress` that stands. */
export const busySlots = { message: 0, hook: 1 } as const;

export type BusyWith = keyof typeof busySlots;

/** What the main thread tells the worker; `id` is the main thread's name for the member. */
export type HeartbeatCommand =
  /** From now on; replaces what was said of the same id before. */
  | { readonly type: 'beat'; readonly id: number; readonly member: HeartbeatMember }
  /** It is no member any more: no heartbeats before the next beat. */
  | { readonly type: 'hush'; readonly id: number }
  | { readonly type: 'stop'; readonly id: number };

/** Which member a finding is about: it may have joined anew meanwhile. */
export interface FoundAt {
  readonly memberId: string;
  readonly generation: number;
}

/** What the worker tells the main thread. */
export type HeartbeatFinding =
  /** The coordinator refused a heartbeat. */
  | (FoundAt & {
      readonly type: 'refused';
      readonly id: number;
      readonly error: MillraceError['code'];
      readonly message: string;
    })
  /** The coordinator cannot be reached; it is dialled again. */
  | (FoundAt & { readonly type: 'unreachable'; readonly id: number; readonly message: string })
  /** That took too long. The member has left its group, unless it is static. */
  | (FoundAt & { readonly type: 'stuck'; readonly id: number; readonly busyWith: BusyWith });
