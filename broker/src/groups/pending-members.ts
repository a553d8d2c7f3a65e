import { ProtocolError } from '@millrace/protocol';
import type { CoordinatorServices } from './coordinator-services.js';
import type { Group } from './group.js';

/**
 * Ids that were given out and not come back with yet (KIP-394), of all groups. They are no members:
 * no rebalance waits for them. Bounded in number and short-lived, for anybody can ask for one.
 */
export class PendingMembers {
  #count = 0;

  constructor(private readonly services: Pick<CoordinatorServices, 'clock' | 'config'>) {}

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /**
   * @param onExpired called when nobody came back with the id in time.
   * @throws ProtocolError OVERLOADED
   */
  add(group: Group, memberId: string, sessionTimeoutMs: number, onExpired: () => void): void {
    const { clock, config } = this.services;
    const { maxPendingMembers, pendingMemberTimeoutMs } = config;
    if (this.#count >= maxPendingMembers) {
      throw new ProtocolError(
        'OVERLOADED',
        `group ${group.groupId}: ${this.#count} new members were given ids and have not come ` +
          'back with them yet, which is the maxPendingMembers of this broker; join again in a moment',
      );
    }
    const expire = (): void => {
      this.#forget(group, memberId);
      onExpired();
    };
    const timeoutMs = Math.min(sessionTimeoutMs, pendingMemberTimeoutMs);
    group.pending ??= new Map();
    group.pending.set(memberId, clock.after(timeoutMs, expire));
    this.#count += 1;
  }

  has(group: Group, memberId: string): boolean {
    return group.pending?.has(memberId) === true;
  }

  /** The id is pending no more: its owner came, or will not come. */
  remove(group: Group, memberId: string): void {
    group.pending?.get(memberId)?.();
    this.#forget(group, memberId);
  }

  /** All those of a group. */
  clear(group: Group): void {
    for (const memberId of [...(group.pending?.keys() ?? [])]) this.remove(group, memberId);
  }

  #forget(group: Group, memberId: string): void {
    if (group.pending?.delete(memberId) !== true) return;
    this.#count -= 1;
    if (group.pending.size === 0) group.pending = undefined;
  }
}
