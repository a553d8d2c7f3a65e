import { ProtocolError } from '@millrace/protocol';
import type { JoinGroupRequest, JoinGroupResponse } from '@millrace/protocol';
import { sameInterest } from './consumer-ownership.js';
import type { CoordinatorServices, GroupClient } from './coordinator-services.js';
import type { Group } from './group.js';
import { askedAgain, beingDeleted, fencedInstance } from './group-errors.js';
import { notStored, unknownMember } from './group-errors.js';
import type { GroupTable } from './group-table.js';
import { checkJoin } from './join-checks.js';
import { Member } from './member.js';
import type { MemberTerms } from './member.js';
import { sizeOfMember } from './member-size.js';
import type { Rebalancer } from './rebalancer.js';
import { Waiter } from './waiter.js';

/** Characters of a client id that are kept, and are part of a member id. */
const MAX_CLIENT_ID_LENGTH = 249;

/** One join under way. */
interface Join {
  readonly request: JoinGroupRequest;
  readonly terms: MemberTerms;
  readonly cancel: AbortSignal | undefined;
}

/** Lets members in: new ones, known ones that join again, and new processes of static ones. */
export class Joiner {
  constructor(
    private readonly services: CoordinatorServices,
    private readonly groups: GroupTable,
    private readonly rebalancer: Rebalancer,
  ) {}

  /** @throws ProtocolError also synchronously. */
  join(
    request: JoinGroupRequest,
    client: GroupClient,
    cancel: AbortSignal | undefined,
  ): Promise<JoinGroupResponse> {
    checkJoin(request, this.services.config);
    const join = { request, terms: termsOf(request, client), cancel };
    if (request.memberId !== '') return this.#joinKnown(join);
    const group = this.groups.obtain(request.groupId);
    try {
      return this.#joinNew(group, join);
    } finally {
      this.groups.release(group);
    }
  }

  #joinNew(group: Group, join: Join): Promise<JoinGroupResponse> {
    const { groupId, groupInstanceId } = join.request;
    if (group.state === 'Dead') throw beingDeleted(groupId);
    const holder = groupInstanceId === null ? undefined : group.staticMember(groupInstanceId);
    requireFit(group, join.request, holder);
    const memberId = this.#newMemberId(join);
    if (holder !== undefined) {
      this.#requireSize(group, memberId, join, holder);
      return this.#replace(group, holder, memberId, join);
    }
    this.#requireRoom(group, group.members.size);
    this.#requireSize(group, memberId, join, undefined);
    if (groupInstanceId === null) return Promise.resolve(this.#askBack(group, memberId, join));
    return this.#add(group, memberId, join);
  }

  #joinKnown(join: Join): Promise<JoinGroupResponse> {
    const { groupId, groupInstanceId, memberId } = join.request;
    const group = this.groups.get(groupId);
    if (group === undefined) throw unknownMember(groupId, memberId);
    if (group.state === 'Dead') throw beingDeleted(groupId);
    const { pending } = this.rebalancer;
    if (groupInstanceId === null && pending.has(group, memberId)) {
      requireFit(group, join.request, undefined);
      this.#requireRoom(group, group.members.size);
      this.#requireSize(group, memberId, join, undefined);
      pending.remove(group, memberId);
      return this.#add(group, memberId, join);
    }
    const member = group.requireMember(memberId, groupInstanceId);
    requireFit(group, join.request, member);
    this.#requireSize(group, memberId, join, member);
    return this.#joinAgain(group, member, join);
  }

  /** KIP-394: who did not hear its id, for what reason ever, leaves no member behind. */
  #askBack(group: Group, memberId: string, { request }: Join): JoinGroupResponse {
    const { groupId, sessionTimeoutMs } = request;
    this.#requireRoom(group, group.pending?.size ?? 0);
    this.rebalancer.pending.add(group, memberId, sessionTimeoutMs, () => {
      this.groups.release(group);
    });
    const required = new ProtocolError(
      'MEMBER_ID_REQUIRED',
      `group ${groupId}: join again with member id ${memberId}`,
    );
    return errorResponse(required.code, required.message, memberId);
  }

  #add(group: Group, memberId: string, join: Join): Promise<JoinGroupResponse> {
    const member = new Member(memberId, join.request.groupInstanceId, join.terms);
    if (group.members.size === 0) group.protocolType = join.request.protocolType;
    group.add(member);
    return this.#awaitGeneration(group, member, join, `member ${memberId} joined`);
  }

  #joinAgain(group: Group, member: Member, join: Join): Promise<JoinGroupResponse> {
    const unchanged = member.offersExactly(join.request.protocols);
    const leads = group.leaderId === member.memberId;
    const current = group.state === 'CompletingRebalance' || (group.state === 'Stable' && !leads);
    if (unchanged && current) {
      // It did not get the answer to its last join. A leader's join in Stable asks for a rebalance.
      group.renew(member, join.terms);
      this.rebalancer.sessions.touch(group, member);
      return Promise.resolve(this.rebalancer.joinResponse(group, member));
    }
    if (group.state === 'PreparingRebalance' && !member.joined) {
      this.#shed(group, member);
    }
    group.renew(member, join.terms);
    const what = unchanged ? 'joined again' : 'joined again with other metadata';
    return this.#awaitGeneration(group, member, join, `member ${member.memberId} ${what}`);
  }

  /** The member's join waits for the next generation, which is being prepared from now on. */
  #awaitGeneration(
    group: Group,
    member: Member,
    { cancel }: Join,
    reason: string,
  ): Promise<JoinGroupResponse> {
    const { sessions } = this.rebalancer;
    member.join?.fail(askedAgain(group.groupId, member.memberId));
    const waiter = new Waiter<JoinGroupResponse>(cancel, () => {
      if (member.join !== waiter) return;
      member.join = undefined;
      sessions.start(group, member);
    });
    member.join = waiter;
    member.joined = true;
    sessions.stop(member);
    if (group.state === 'PreparingRebalance') this.rebalancer.completeIfAllJoined(group);
    else this.rebalancer.prepare(group, reason);
    return waiter.answered;
  }

  /**
   * A new process of a static member (KIP-345). Where it wants what the old one wanted, a Stable
   * group goes on with the assignments that there are: its sync brings it its own. A leader is told
   * everybody as ever, so that it can watch their topics; what it assigns changes nothing
   * (KIP-814).
   */
  #replace(group: Group, old: Member, memberId: string, join: Join): Promise<JoinGroupResponse> {
    const { groupId, groupInstanceId } = join.request;
    const { sessions } = this.rebalancer;
    const successor = new Member(memberId, groupInstanceId, join.terms);
    const chosen = group.protocolName;
    const metadata = [old.metadataFor(chosen), successor.metadataFor(chosen)] as const;
    const fenced = fencedInstance(groupId, groupInstanceId ?? '');
    this.services.logger.info(
      { group: groupId, groupInstanceId, member: memberId, before: old.memberId },
      'static member has a new process',
    );
    sessions.stop(old);
    old.join?.fail(fenced);
    old.sync?.fail(fenced);
    old.join = old.sync = undefined;
    group.replace(old, successor);
    const goesOn =
      group.state === 'Stable' &&
      group.selectProtocol() === chosen &&
      sameInterest(group.protocolType, ...metadata);
    if (!goesOn) {
      return this.#awaitGeneration(group, successor, join, `static member ${memberId} came back`);
    }
    sessions.start(group, successor);
    return this.#storeReplaced(group, successor);
  }

  /** The new member id is durable before it is told, or a restart would fence its owner. */
  async #storeReplaced(group: Group, successor: Member): Promise<JoinGroupResponse> {
    const { clock, store } = this.services;
    const { groupId } = group;
    const { groupInstanceId, memberId } = successor;
    const response = this.rebalancer.joinResponse(group, successor);
    try {
      await store.storeGroup(group.toStored(clock.nowMs()));
    } catch (error) {
      throw notStored(groupId, error);
    }
    group.requireMember(memberId, groupInstanceId);
    return response;
  }

  #newMemberId({ request, terms }: Join): string {
    return `${request.groupInstanceId ?? terms.clientId}-${this.services.newId()}`;
  }

  /** @throws ProtocolError GROUP_MAX_SIZE_REACHED */
  #requireRoom(group: Group, taken: number): void {
    const { groupMaxMembers } = this.services.config;
    if (taken >= groupMaxMembers) throw tooMany(group.groupId, groupMaxMembers);
  }

  /**
   * Whether there is room for what a member says, in the answer to the leader and in memory. What
   * is no larger than before always has its room.
   *
   * @param before the member itself, or the one whose place it takes.
   * @throws ProtocolError GROUP_MAX_SIZE_REACHED, OVERLOADED
   */
  #requireSize(group: Group, memberId: string, join: Join, before: Member | undefined): void {
    const { maxGroupMembersBytes } = this.services.config;
    const { groupId, groupInstanceId } = join.request;
    const size = sizeOfMember(memberId, groupInstanceId, join.terms);
    const moreBytes = size.answerBytes - (before?.size.answerBytes ?? 0);
    if (moreBytes > 0 && group.membersBytes + moreBytes > maxGroupMembersBytes) {
      throw new ProtocolError(
        'GROUP_MAX_SIZE_REACHED',
        `group ${groupId}: ids and metadata of its ${group.members.size} members have ` +
          `${group.membersBytes} bytes, ${moreBytes} more do not fit into the ` +
          `maxGroupMembersBytes of ${maxGroupMembersBytes}; have fewer members, or subscribe to fewer topics`,
      );
    }
    group.memory.requireRoom(groupId, size.memoryBytes - (before?.size.memoryBytes ?? 0));
  }

  /** A group that is larger than a lowered limit gets smaller by those who join again last. */
  #shed(group: Group, member: Member): void {
    const { groupMaxMembers } = this.services.config;
    if (group.members.size <= groupMaxMembers) return;
    let joined = 0;
    for (const other of group.members.values()) if (other.joined) joined += 1;
    if (joined < groupMaxMembers) return;
    const error = tooMany(group.groupId, groupMaxMembers);
    this.rebalancer.remove(group, member, 'the group is larger than groupMaxMembers');
    throw error;
  }
}

/** The answer to a join that failed. */
export function errorResponse(
  errorCode: number,
  errorMessage: string | null,
  memberId: string,
): JoinGroupResponse {
  return {
    ...{ errorCode, errorMessage, generation: -1 },
    ...{ protocolType: null, protocolName: null, leaderId: '', memberId, members: [] },
  };
}

function termsOf(request: JoinGroupRequest, { clientId, host }: GroupClient): MemberTerms {
  const { sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request;
  return {
    clientId: clientId.slice(0, MAX_CLIENT_ID_LENGTH),
    clientHost: host,
    ...{ sessionTimeoutMs, rebalanceTimeoutMs, protocols },
  };
}

function requireFit(group: Group, request: JoinGroupRequest, except: Member | undefined): void {
  const { groupId, protocolType, protocols } = request;
  if (group.accepts(protocolType, protocols, except)) return;
  const offered = protocols.map(({ name }) => name).join(', ');
  throw new ProtocolError(
    'INCONSISTENT_GROUP_PROTOCOL',
    group.protocolType === protocolType
      ? `group ${groupId}: no other member supports any of ${offered}; all members of a group ` +
          'need one protocol (assignor) in common'
      : `group ${groupId} is of protocol type "${group.protocolType}", not "${protocolType}"`,
  );
}

function tooMany(groupId: string, limit: number): ProtocolError {
  return new ProtocolError(
    'GROUP_MAX_SIZE_REACHED',
    `group ${groupId} has its groupMaxMembers of ${limit}`,
  );
}
