import type { GroupProtocol, JoinGroupResponse, SyncGroupResponse } from '@millrace/protocol';
import type { StoredMember } from './group-store.js';
import { sizeOfMember } from './member-size.js';
import type { MemberSize } from './member-size.js';
import type { Waiter } from './waiter.js';

/** What a member says of itself when it joins. */
export interface MemberTerms {
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** In the member's order of preference. */
  readonly protocols: readonly GroupProtocol[];
}

const NO_BYTES = Buffer.alloc(0);

/** One member of a group: what it said, what it was given, and what of it is under way. */
export class Member {
  /** What the last generation whose assignments were given out gave to it. */
  assignment: Buffer = NO_BYTES;
  /** It has joined for the generation that is being prepared. Always false in other states. */
  joined = false;
  /** Its join that waits; a member can have joined and wait no more, when its connection ended. */
  join: Waiter<JoinGroupResponse> | undefined;
  /** It has asked for its assignment in this generation. */
  synced = false;
  /** Its sync that waits for the leader. */
  sync: Waiter<SyncGroupResponse> | undefined;
  /** As the leader, one after the other. */
  invalidAssignments = 0;
  /** Ends its session's timer; undefined while none runs. */
  stopSession: (() => void) | undefined;
  #terms: MemberTerms;
  #size: MemberSize;

  constructor(
    readonly memberId: string,
    readonly groupInstanceId: string | null,
    terms: MemberTerms,
  ) {
    this.#terms = terms;
    this.#size = sizeOfMember(memberId, groupInstanceId, terms);
  }

  get terms(): MemberTerms {
    return this.#terms;
  }

  get size(): MemberSize {
    return this.#size;
  }

  /** It says something else from now on; for its group, which counts what members take. */
  setTerms(terms: MemberTerms): void {
    this.#terms = terms;
    this.#size = sizeOfMember(this.memberId, this.groupInstanceId, terms);
  }

  static restored(stored: StoredMember): Member {
    const { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = stored;
    const terms = { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols };
    const member = new Member(stored.memberId, stored.groupInstanceId, terms);
    member.assignment = stored.assignment;
    member.synced = true;
    return member;
  }

  /** A request of it waits: that it says nothing meanwhile does not mean that it is gone. */
  get waits(): boolean {
    return this.join !== undefined || this.sync !== undefined;
  }

  supports(protocolName: string): boolean {
    return this.terms.protocols.some(({ name }) => name === protocolName);
  }

  /** Of no bytes when it does not support the protocol. */
  metadataFor(protocolName: string | null): Buffer {
    return this.terms.protocols.find(({ name }) => name === protocolName)?.metadata ?? NO_BYTES;
  }

  /** Whether `protocols` say what the member said before, byte for byte and in the same order. */
  offersExactly(protocols: readonly GroupProtocol[]): boolean {
    const mine = this.terms.protocols;
    return (
      mine.length === protocols.length &&
      mine.every(({ name, metadata }, index) => {
        const other = protocols[index];
        return other?.name === name && other.metadata.equals(metadata);
      })
    );
  }

  toStored(protocolName: string, assignment: Buffer): StoredMember {
    const { memberId, groupInstanceId } = this;
    const { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs } = this.terms;
    const protocols = [{ name: protocolName, metadata: this.metadataFor(protocolName) }];
    return {
      ...{ memberId, groupInstanceId, clientId, clientHost },
      ...{ sessionTimeoutMs, rebalanceTimeoutMs, protocols, assignment },
    };
  }
}
