import { ProtocolError } from '@millrace/protocol';

/** What the members of all groups take, and the most that they may. */
export class GroupMemory {
  /** What members said of themselves and were given, and what is kept of each besides. */
  bytes = 0;

  /** @param maxBytes in force for what is new; groups of an earlier start may take more. */
  constructor(private readonly maxBytes: number) {}

  /**
   * A member that may try again later is told so: one group must not end the consumers of others.
   *
   * @param moreBytes than there are; what makes a group no larger is always welcome.
   * @throws ProtocolError OVERLOADED
   */
  requireRoom(groupId: string, moreBytes: number): void {
    if (moreBytes <= 0 || this.bytes + moreBytes <= this.maxBytes) return;
    throw new ProtocolError(
      'OVERLOADED',
      `group ${groupId}: ${moreBytes} bytes more of what members say and are assigned do not ` +
        `fit; all groups have ${this.bytes} of the maxGroupMemoryBytes of ${this.maxBytes}; stop ` +
        'consumers that nobody needs, or raise it',
    );
  }
}
