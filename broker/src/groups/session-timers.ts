import type { Clock } from './clock.js';
import type { Group } from './group.js';
import type { Member } from './member.js';

/**
 * The last part of a session has a timer of its own, begun when the rest is over. When the broker
 * itself stood still (SIGSTOP, a suspended machine) all sessions are over at once, and heartbeats
 * that came meanwhile lie unread in the sockets: they are read before anyone is thrown out.
 */
const LAST_CALL_MS = 50;

/** One timer per member: who is not heard of for its session timeout is out. */
export class SessionTimers {
  constructor(
    private readonly clock: Clock,
    private readonly onExpired: (group: Group, member: Member) => void,
  ) {}

  /** The member was heard of: its session begins anew, unless a request of it waits. */
  touch(group: Group, member: Member): void {
    if (!member.waits) this.start(group, member);
  }

  /** The session begins anew, now. */
  start(group: Group, member: Member): void {
    this.stop(member);
    const lastCallMs = Math.min(LAST_CALL_MS, member.terms.sessionTimeoutMs);
    const expire = (): void => {
      member.stopSession = undefined;
      this.onExpired(group, member);
    };
    const lastCall = (): void => {
      member.stopSession = this.clock.after(lastCallMs, expire);
    };
    member.stopSession = this.clock.after(member.terms.sessionTimeoutMs - lastCallMs, lastCall);
  }

  /** The member is known to be there, or is out. */
  stop(member: Member): void {
    member.stopSession?.();
    member.stopSession = undefined;
  }
}
