import type { GroupProtocol, GroupState } from '@millrace/protocol';
import { ConsumerOwnership } from './consumer-ownership.js';
import { fencedInstance, unknownInstance, unknownMember } from './group-errors.js';
import type { GroupMemory } from './group-memory.js';
import type { StoredGroup } from './group-store.js';
import { Member } from './member.js';
import type { MemberTerms } from './member.js';

/** What the leader gave out, while it is being stored. */
export type Assignments = ReadonlyMap<string, Buffer>;

/**
 * What is known of one group. It keeps its parts consistent and knows no rule of the protocol, no
 * timer and no store; {@link Rebalancer} does. Kept small: a broker may have 100,000 of them.
 */
export class Group {
  state: GroupState = 'Empty';
  /** When it came into its state, in milliseconds since 1970. */
  stateTimeMs: number;
  /** 0 = no rebalance has ended yet. */
  generation = 0;
  /** Fixed while there are members. */
  protocolType = '';
  /** What the members of the current generation speak; null = none. */
  protocolName: string | null = null;
  leaderId: string | null = null;
  /** By their ids; changed here alone. */
  readonly members = new Map<string, Member>();
  /** What the answer to the leader takes at most: ids and metadata of all members. */
  membersBytes = 0;
  /** Of {@link PendingMembers}: ids that are no members yet, with what cancels their expiry. */
  pending: Map<string, () => void> | undefined;
  /** The first rebalance of an empty group waits for more members. */
  gathering = false;
  /** Members came since {@link gathering} was last looked at. */
  gathered = false;
  /** The assignments of this generation, while they are on their way to the store. */
  storing: Assignments | undefined;
  /** Commits on their way to the store. */
  commitsUnderWay = 0;
  #stopTimer: (() => void) | undefined;
  /** null = not to be told from the assignments; undefined = not looked at yet. */
  #ownership: ConsumerOwnership | null | undefined;

  constructor(
    readonly groupId: string,
    nowMs: number,
    /** What the members of all groups take, these included. */
    readonly memory: GroupMemory,
  ) {
    this.stateTimeMs = nowMs;
  }

  /** A group as it was stored; one whose members make no sense is Empty. */
  static restored(stored: StoredGroup, memory: GroupMemory): Group {
    const group = new Group(stored.groupId, stored.stateTimeMs, memory);
    group.generation = stored.generation;
    group.protocolType = stored.protocolType;
    const { protocolName, members } = stored;
    const ids = new Set(members.map(({ memberId }) => memberId));
    const readable =
      protocolName !== null &&
      ids.size === members.length &&
      members.every(({ memberId, protocols }) => memberId !== '' && protocols.length > 0);
    if (!readable || members.length === 0) return group;
    for (const member of members) group.#put(Member.restored(member));
    group.state = 'Stable';
    group.protocolName = protocolName;
    const leader = stored.leaderId !== null && ids.has(stored.leaderId) ? stored.leaderId : null;
    group.leaderId = leader ?? members[0]?.memberId ?? null;
    return group;
  }

  enter(state: GroupState, nowMs: number): void {
    this.state = state;
    this.stateTimeMs = nowMs;
  }

  /** The one timer of the group, in place of the one before. */
  setTimer(stop: (() => void) | undefined): void {
    this.#stopTimer?.();
    this.#stopTimer = stop;
  }

  add(member: Member): void {
    this.#put(member);
    this.leaderId ??= member.memberId;
    this.gathered = true;
  }

  remove(member: Member): void {
    // What the member had stays its own until the next generation, so look at it before it goes.
    this.#knowOwnership();
    this.#take(member);
    if (this.leaderId !== member.memberId) return;
    this.leaderId = this.members.keys().next().value ?? null;
  }

  /** A static member's new process takes the place of its old one, leadership included. */
  replace(old: Member, successor: Member): void {
    successor.assignment = old.assignment;
    const leads = this.leaderId === old.memberId;
    this.#take(old);
    this.#put(successor);
    if (leads) this.leaderId = successor.memberId;
    this.#ownership?.rename(old.memberId, successor.memberId);
  }

  /** A member says something else of itself. */
  renew(member: Member, terms: MemberTerms): void {
    this.#count(member, -1);
    member.setTerms(terms);
    this.#count(member, 1);
  }

  /** Searched for: it is asked for only when a static member comes, goes or is in doubt. */
  staticMember(instanceId: string): Member | undefined {
    for (const member of this.members.values()) {
      if (member.groupInstanceId === instanceId) return member;
    }
    return undefined;
  }

  /** @throws ProtocolError UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID */
  requireMember(memberId: string, groupInstanceId: string | null): Member {
    const member = this.members.get(memberId);
    if (groupInstanceId === null || member?.groupInstanceId === groupInstanceId) {
      if (member === undefined) throw unknownMember(this.groupId, memberId);
      return member;
    }
    const holder = this.staticMember(groupInstanceId);
    if (holder === undefined) throw unknownInstance(this.groupId, groupInstanceId);
    throw fencedInstance(this.groupId, groupInstanceId);
  }

  /** The longest that a member asks for. */
  get rebalanceTimeoutMs(): number {
    let longestMs = 0;
    for (const { terms } of this.members.values()) {
      longestMs = Math.max(longestMs, terms.rebalanceTimeoutMs);
    }
    return longestMs;
  }

  get allJoined(): boolean {
    for (const member of this.members.values()) if (!member.joined) return false;
    return true;
  }

  get allSynced(): boolean {
    for (const member of this.members.values()) if (!member.synced) return false;
    return true;
  }

  /**
   * Whether a member with these protocols fits to all others.
   *
   * @param except the member itself, or the one whose place it takes.
   */
  accepts(protocolType: string, protocols: readonly GroupProtocol[], except?: Member): boolean {
    if (this.members.size === 0) return true;
    if (this.protocolType !== protocolType) return false;
    return protocols.some(({ name }) => this.#allSupport(name, except));
  }

  /**
   * The protocol that most members prefer among those that all support; of equal ones the first in
   * the leader's order.
   */
  selectProtocol(): string | null {
    const members = [...this.members.values()];
    const leader = this.members.get(this.leaderId ?? '') ?? members[0];
    if (leader === undefined) return null;
    const votes = new Map<string, number>();
    for (const { name } of leader.terms.protocols) {
      if (this.#allSupport(name, undefined)) votes.set(name, 0);
    }
    for (const { terms } of members) {
      const choice = terms.protocols.find(({ name }) => votes.has(name));
      if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
    }
    let winner: string | null = null;
    for (const [name, count] of votes) {
      if (winner === null || count > (votes.get(winner) ?? 0)) winner = name;
    }
    return winner;
  }

  /**
   * Who was told last that a partition is its own: in this generation, or in an earlier one while
   * nobody was told anything in this one. undefined: that cannot be told from the assignments.
   */
  get ownership(): ConsumerOwnership | undefined {
    return this.#knowOwnership() ?? undefined;
  }

  /** What the leader gave out is in force. Without members it says that nobody has anything. */
  assign(assignments: Assignments): void {
    for (const member of this.members.values()) {
      const before = member.assignment;
      member.assignment = assignments.get(member.memberId) ?? Buffer.alloc(0);
      this.memory.bytes += member.assignment.length - before.length;
    }
    this.#ownership = undefined;
  }

  /** @param assignments default: those in force. */
  toStored(nowMs: number, assignments?: Assignments): StoredGroup {
    const { groupId, protocolType, protocolName, generation, leaderId } = this;
    const members =
      protocolName === null
        ? []
        : [...this.members.values()].map((member) => {
            const given = assignments?.get(member.memberId) ?? member.assignment;
            return member.toStored(protocolName, given);
          });
    return {
      ...{ groupId, protocolType, protocolName, generation, leaderId },
      stateTimeMs: nowMs,
      members,
    };
  }

  /** Nothing of it is stored, and nobody is about to come back to it. */
  get unused(): boolean {
    const pending = this.pending?.size ?? 0;
    return this.state === 'Empty' && this.generation === 0 && pending + this.commitsUnderWay === 0;
  }

  #put(member: Member): void {
    this.members.set(member.memberId, member);
    this.#count(member, 1);
  }

  #take(member: Member): void {
    if (this.members.delete(member.memberId)) this.#count(member, -1);
  }

  #count({ assignment, size }: Member, sign: 1 | -1): void {
    this.membersBytes += sign * size.answerBytes;
    this.memory.bytes += sign * (size.memoryBytes + assignment.length);
  }

  #allSupport(protocolName: string, except: Member | undefined): boolean {
    for (const member of this.members.values()) {
      if (member !== except && !member.supports(protocolName)) return false;
    }
    return true;
  }

  /** Decoded when it is first needed: after a restart most groups never need it. */
  #knowOwnership(): ConsumerOwnership | null {
    if (this.#ownership !== undefined) return this.#ownership;
    const assignments = [...this.members.values()].map(
      ({ memberId, assignment }) => [memberId, assignment] as const,
    );
    const decoded = ConsumerOwnership.decode(this.protocolType, assignments) ?? null;
    this.#ownership = decoded;
    return decoded;
  }
}
