import type { JoinGroupResponse, ProtocolError } from '@millrace/protocol';
import type { CoordinatorServices } from './coordinator-services.js';
import type { Group } from './group.js';
import {
  beingDeleted,
  noError,
  notStored,
  rebalanceInProgress,
  shuttingDown,
  unknownMember,
} from './group-errors.js';
import type { Member } from './member.js';
import { PendingMembers } from './pending-members.js';
import { SessionTimers } from './session-timers.js';

/**
 * Takes groups from one generation to the next, by the rules of Kafka's classic protocol
 * (`GroupMetadataManager`, `ClassicGroup`):
 *
 *   Empty, Stable, CompletingRebalance ─ prepare ─► PreparingRebalance
 *   PreparingRebalance ─ all members joined, or time is up ─► CompletingRebalance, or Empty when nobody did
 *   CompletingRebalance ─ the leader's assignments are stored ─► Stable (`Synchronizer`)
 */
export class Rebalancer {
  readonly sessions: SessionTimers;
  readonly pending: PendingMembers;
  /** Generations begun since the start, those of groups that became empty included. */
  completed = 0;
  /** Groups that have become Empty, while that is being stored. */
  readonly #emptied = new Map<string, Promise<void>>();

  constructor(private readonly services: CoordinatorServices) {
    this.pending = new PendingMembers(services);
    this.sessions = new SessionTimers(services.clock, (group, member) => {
      this.remove(group, member, 'its session timed out');
    });
  }

  /** All members are to join again; who waits for an assignment is told so. */
  prepare(group: Group, reason: string): void {
    const { clock, logger } = this.services;
    const { groupId, generation, state } = group;
    logger.debug({ group: groupId, generation, state, reason }, 'group prepares a rebalance');
    this.#failSyncs(group, rebalanceInProgress(groupId));
    group.storing = undefined;
    group.enter('PreparingRebalance', clock.nowMs());
    if (state === 'Empty') {
      this.#gather(group, group.rebalanceTimeoutMs);
      return;
    }
    this.#waitForJoins(group);
    this.completeIfAllJoined(group);
  }

  /** Ends the preparation when there is nobody left to wait for. */
  completeIfAllJoined(group: Group): void {
    if (group.state !== 'PreparingRebalance') return;
    if (group.members.size === 0 || (!group.gathering && group.allJoined)) this.#complete(group);
  }

  /**
   * Puts a member out of its group; what it waits for is answered.
   *
   * @param error default: UNKNOWN_MEMBER_ID.
   */
  remove(group: Group, member: Member, reason: string, error?: ProtocolError): void {
    this.#drop(group, member, reason, error);
    if (group.state === 'PreparingRebalance') this.completeIfAllJoined(group);
    else if (group.state !== 'Empty') this.prepare(group, `a member went: ${reason}`);
  }

  /**
   * Leaves a failed store behind: members are told, and join again.
   *
   * @param cause what the store said.
   */
  restart(group: Group, cause: unknown): void {
    this.services.logger.warn(
      { err: cause, group: group.groupId, generation: group.generation },
      'a new generation of a group could not be stored; the group rebalances',
    );
    this.#failSyncs(group, notStored(group.groupId, cause));
    this.prepare(group, 'the generation could not be stored');
  }

  /** What a member is told of the current generation. */
  joinResponse(group: Group, member: Member): JoinGroupResponse {
    const { generation, protocolType, protocolName } = group;
    const leads = group.leaderId === member.memberId;
    return {
      ...noError,
      ...{ generation, protocolType, protocolName },
      leaderId: group.leaderId ?? '',
      memberId: member.memberId,
      members: leads ? this.#joinedMembers(group) : [],
    };
  }

  /** Stores a group that has become Empty; when that fails, a restart finds what was before. */
  storeEmpty(group: Group): void {
    const { groupId } = group;
    const stored = this.#store(group)
      .catch((error: unknown) => {
        const what = 'that a group has become empty could not be stored';
        this.services.logger.warn({ err: error, group: groupId }, what);
      })
      .finally(() => {
        if (this.#emptied.get(groupId) === stored) this.#emptied.delete(groupId);
      });
    this.#emptied.set(groupId, stored);
  }

  /**
   * Resolves when nothing of {@link storeEmpty} is under way for the group. Whoever left last is answered
   * then: a broker that crashed in between would wait for that member until its session ends.
   */
  async emptied(groupId: string): Promise<void> {
    await this.#emptied.get(groupId);
  }

  /** Nothing of the group goes on: what waits is answered, timers end. */
  abandon(group: Group, reason: 'closing' | 'deleting'): void {
    const error = reason === 'closing' ? shuttingDown() : beingDeleted(group.groupId);
    group.setTimer(undefined);
    this.pending.clear(group);
    group.storing = undefined;
    for (const member of group.members.values()) {
      this.sessions.stop(member);
      member.join?.fail(error);
      member.sync?.fail(error);
      member.join = member.sync = undefined;
    }
  }

  /** An empty group's first rebalance: waits for more members for as long as more come. */
  #gather(group: Group, remainingMs: number): void {
    const delayMs = Math.min(this.services.config.groupInitialRebalanceDelayMs, remainingMs);
    if (delayMs <= 0) {
      this.#complete(group);
      return;
    }
    group.gathering = true;
    group.gathered = false;
    const look = (): void => {
      if (group.gathered) this.#gather(group, remainingMs - delayMs);
      else this.#complete(group);
    };
    group.setTimer(this.services.clock.after(delayMs, look));
  }

  #waitForJoins(group: Group): void {
    const timeUp = (): void => {
      this.#complete(group);
    };
    group.setTimer(this.services.clock.after(group.rebalanceTimeoutMs, timeUp));
  }

  /** The preparation is over: who has joined makes the next generation. */
  #complete(group: Group): void {
    group.setTimer(undefined);
    group.gathering = false;
    for (const member of [...group.members.values()]) {
      // A static member may be restarting: it keeps its place until its session ends.
      if (member.joined || member.groupInstanceId !== null) continue;
      this.#drop(group, member, 'it did not join again within the rebalance timeout');
    }
    if (group.members.size > 0 && !electLeader(group)) {
      this.#waitForJoins(group);
      return;
    }
    group.generation += 1;
    this.completed += 1;
    group.protocolName = group.selectProtocol();
    const { groupId, generation, protocolName } = group;
    if (group.members.size === 0) {
      group.assign(new Map());
      group.enter('Empty', this.services.clock.nowMs());
      this.services.logger.info({ group: groupId, generation }, 'group is empty');
      this.storeEmpty(group);
      return;
    }
    group.enter('CompletingRebalance', this.services.clock.nowMs());
    const members = group.members.size;
    const leader = group.leaderId;
    this.services.logger.info(
      { group: groupId, generation, members, protocol: protocolName, leader },
      'group has a new generation',
    );
    this.#answerJoins(group);
    this.#waitForSyncs(group);
  }

  #answerJoins(group: Group): void {
    for (const member of group.members.values()) {
      const { join } = member;
      member.joined = false;
      member.synced = false;
      member.join = undefined;
      if (join === undefined) continue;
      join.answer(this.joinResponse(group, member));
      this.sessions.start(group, member);
    }
  }

  #waitForSyncs(group: Group): void {
    const timeUp = (): void => {
      const late = [...group.members.values()].filter(({ synced }) => !synced);
      for (const member of late) {
        this.#drop(group, member, 'it did not sync within the rebalance timeout');
      }
      if (late.length > 0) this.prepare(group, 'members did not sync in time');
      else if (group.state === 'CompletingRebalance') {
        this.restart(group, new Error('the store did not answer within the rebalance timeout'));
      }
    };
    group.setTimer(this.services.clock.after(group.rebalanceTimeoutMs, timeUp));
  }

  #failSyncs(group: Group, error: ProtocolError): void {
    for (const member of group.members.values()) {
      const { sync } = member;
      if (sync === undefined) continue;
      member.sync = undefined;
      sync.fail(error);
      this.sessions.touch(group, member);
    }
  }

  #drop(group: Group, member: Member, reason: string, error?: ProtocolError): void {
    const { groupId, generation } = group;
    const { memberId, groupInstanceId } = member;
    this.services.logger.info(
      { group: groupId, generation, member: memberId, groupInstanceId, reason },
      'member is out of its group',
    );
    this.sessions.stop(member);
    const told = error ?? unknownMember(groupId, memberId);
    member.join?.fail(told);
    member.sync?.fail(told);
    member.join = member.sync = undefined;
    group.remove(member);
  }

  #joinedMembers(group: Group): JoinGroupResponse['members'] {
    return [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      metadata: member.metadataFor(group.protocolName),
    }));
  }

  /** A store that throws is one that rejects. */
  async #store(group: Group): Promise<void> {
    const { clock, store } = this.services;
    await store.storeGroup(group.toStored(clock.nowMs()));
  }
}

/**
 * The leader stays if it has joined. One that is to hear the answer comes before one whose
 * connection ended.
 *
 * @returns false when nobody has joined.
 */
function electLeader(group: Group): boolean {
  const members = [...group.members.values()];
  const leader = group.members.get(group.leaderId ?? '');
  const joined = members.filter((member) => member.joined);
  const waiting = joined.filter((member) => member.join !== undefined);
  const choice = waiting.find((member) => member === leader) ?? waiting[0];
  const elected = choice ?? joined.find((member) => member === leader) ?? joined[0];
  if (elected === undefined) return false;
  group.leaderId = elected.memberId;
  return true;
}
