import {
  errorTable,
  ProtocolError,
  type DescribeGroupsResponse,
  type ErrorName,
  type HeartbeatRequest,
  type JoinGroupRequest,
  type JoinGroupResponse,
  type LeaveGroupRequest,
  type OffsetCommitRequest,
  type OffsetFetchRequest,
  type SyncGroupRequest,
  type SyncGroupResponse,
} from '@millrace/protocol';

interface FakeMember {
  groupInstanceId: string | null;
  metadata: Buffer;
  protocol: string;
  joined: ((response: JoinGroupResponse) => void) | undefined;
  synced: ((error: ProtocolError | undefined) => void) | undefined;
  assignment: Buffer;
  /** It is always there, and never asks for anything. */
  isGhost?: boolean;
}

const ok = { errorCode: 0, errorMessage: null };

/** One group with as much of a coordinator as a client can tell, and no clock at all. */
export class FakeGroup {
  readonly members = new Map<string, FakeMember>();
  readonly offsets = new Map<
    string,
    { offset: number; leaderEpoch: number; metadata: string | null }
  >();
  readonly left: { memberId: string; reason: string | null }[] = [];
  generation = 0;
  state: 'stable' | 'joining' | 'syncing' = 'stable';
  #nextId = 1;

  handle(api: string, request: unknown, error: ProtocolError | undefined): unknown {
    switch (api) {
      case 'joinGroup':
        return this.#join(request as JoinGroupRequest, error);
      case 'syncGroup':
        return this.#sync(request as SyncGroupRequest);
      case 'heartbeat':
        return this.#heartbeat(request as HeartbeatRequest);
      case 'leaveGroup':
        return this.#leave(request as LeaveGroupRequest);
      case 'offsetCommit':
        return this.#commit(request as OffsetCommitRequest, error);
      case 'describeGroups':
        return this.#describe();
      case 'offsetFetch':
        return this.#fetch(request as OffsetFetchRequest, error);
      default:
        throw new ProtocolError('UNKNOWN_API');
    }
  }

  /** A member that is part of every rebalance from now on. */
  addGhost(memberId: string, metadata: Buffer): void {
    const none = { joined: undefined, synced: undefined, assignment: Buffer.alloc(0) };
    const terms = { groupInstanceId: null, metadata, protocol: '', isGhost: true };
    this.members.set(memberId, { ...terms, ...none });
  }

  /** As when a member's session ends. */
  kick(memberId: string): void {
    const member = this.members.get(memberId);
    this.members.delete(memberId);
    member?.joined?.(refused('UNKNOWN_MEMBER_ID'));
    member?.synced?.(new ProtocolError('UNKNOWN_MEMBER_ID'));
    this.rebalance();
  }

  /** As {@link kick}, when the member is about to be told so anyway. */
  forget(memberId: string): void {
    this.members.delete(memberId);
  }

  /** Everyone must join again. */
  rebalance(): void {
    this.state = 'joining';
    for (const { synced } of this.members.values()) {
      synced?.(new ProtocolError('REBALANCE_IN_PROGRESS'));
    }
    this.#completeJoin();
  }

  #join(request: JoinGroupRequest, error: ProtocolError | undefined): unknown {
    if (error !== undefined) return { ...refused(error.errorName), memberId: request.memberId };
    let { memberId } = request;
    if (memberId === '') {
      memberId = `member-${this.#nextId++}`;
      if (request.groupInstanceId === null) return { ...refused('MEMBER_ID_REQUIRED'), memberId };
    } else if (!/^member-\d+$/.test(memberId) || this.#wasKicked(memberId)) {
      return refused('UNKNOWN_MEMBER_ID');
    }
    const [protocol] = request.protocols;
    const returned = this.#replace(request, memberId);
    if (returned !== undefined) return returned;
    return new Promise<JoinGroupResponse>((resolve) => {
      this.members.set(memberId, {
        groupInstanceId: request.groupInstanceId,
        metadata: protocol?.metadata ?? Buffer.alloc(0),
        protocol: protocol?.name ?? '',
        joined: resolve,
        synced: undefined,
        assignment: this.members.get(memberId)?.assignment ?? Buffer.alloc(0),
      });
      this.#known.add(memberId);
      this.rebalance();
    });
  }

  /** A static member that comes back to a stable group finds everything as it was. */
  #replace({ groupInstanceId }: JoinGroupRequest, memberId: string): JoinGroupResponse | undefined {
    const [oldId, old] =
      [...this.members].find(([, each]) => each.groupInstanceId === groupInstanceId) ?? [];
    if (groupInstanceId === null || old === undefined || oldId === memberId) return undefined;
    if (this.state !== 'stable') return undefined;
    const all = [...this.members].map(
      ([id, each]) => [id === oldId ? memberId : id, each] as const,
    );
    this.members.clear();
    for (const [id, each] of all) this.members.set(id, each);
    return this.#joinedAs(memberId, old.protocol);
  }

  readonly #known = new Set<string>();

  #wasKicked(memberId: string): boolean {
    return this.#known.has(memberId) && !this.members.has(memberId);
  }

  #completeJoin(): void {
    const all = [...this.members];
    const isLate = ({ joined, isGhost }: FakeMember): boolean =>
      joined === undefined && isGhost !== true;
    if (all.length === 0 || all.some(([, member]) => isLate(member))) return;
    this.generation += 1;
    this.state = 'syncing';
    const protocol = all.find(([, { isGhost }]) => isGhost !== true)?.[1].protocol ?? '';
    for (const [memberId, member] of all) {
      const { joined } = member;
      member.joined = undefined;
      joined?.(this.#joinedAs(memberId, protocol));
    }
  }

  /** The first one leads. */
  #joinedAs(memberId: string, protocolName: string): JoinGroupResponse {
    const all = [...this.members];
    const leaderId = all.find(([, { isGhost }]) => isGhost !== true)?.[0] ?? '';
    const members = all.map(([id, { groupInstanceId, metadata }]) => {
      return { memberId: id, groupInstanceId, metadata };
    });
    return {
      ...{ ...ok, generation: this.generation, protocolType: 'consumer', protocolName },
      ...{ leaderId, memberId, members: memberId === leaderId ? members : [] },
    };
  }

  #describe(): DescribeGroupsResponse {
    const { generation } = this;
    const client = { clientId: 'test', clientHost: '127.0.0.1' };
    const members = [...this.members].map(([memberId, member]) => {
      const { groupInstanceId, metadata, assignment } = member;
      return { memberId, groupInstanceId, ...client, metadata, assignment };
    });
    const state = this.state === 'stable' ? 'Stable' : 'PreparingRebalance';
    const protocol = { protocolType: 'consumer', protocolName: 'x', coordinator: 1 };
    return { groups: [{ ...ok, groupId: 'g', state, ...protocol, generation, members }] };
  }

  #sync(request: SyncGroupRequest): Promise<SyncGroupResponse> {
    const member = this.#check(request);
    if (this.state === 'joining') throw new ProtocolError('REBALANCE_IN_PROGRESS');
    const answer = (): SyncGroupResponse => ({
      protocolType: 'consumer',
      protocolName: member.protocol,
      assignment: member.assignment,
    });
    if (this.state === 'stable') return Promise.resolve(answer());
    const waiting = new Promise<SyncGroupResponse>((resolve, reject) => {
      member.synced = (error) => {
        member.synced = undefined;
        if (error === undefined) resolve(answer());
        else reject(error);
      };
    });
    if (request.assignments.length > 0) {
      this.state = 'stable';
      for (const { memberId, assignment } of request.assignments) {
        const assigned = this.members.get(memberId);
        if (assigned !== undefined) assigned.assignment = assignment;
      }
      for (const { synced } of this.members.values()) synced?.(undefined);
    }
    return waiting;
  }

  #heartbeat(request: HeartbeatRequest): object {
    this.#check(request);
    if (this.state === 'joining') throw new ProtocolError('REBALANCE_IN_PROGRESS');
    return {};
  }

  #leave({ members }: LeaveGroupRequest) {
    for (const { memberId, reason } of members) {
      this.left.push({ memberId, reason });
      this.kick(memberId);
    }
    return { members: members.map((member) => ({ ...member, ...ok })) };
  }

  #commit(request: OffsetCommitRequest, error: ProtocolError | undefined) {
    if (error === undefined) this.#check(request);
    const row = error === undefined ? ok : { errorCode: error.code, errorMessage: error.message };
    for (const { topicId, partition, offset, leaderEpoch, metadata } of request.entries) {
      if (error !== undefined) continue;
      this.offsets.set(`${topicId}/${partition}`, { offset, leaderEpoch, metadata });
    }
    return {
      entries: request.entries.map(({ topicId, partition }) => ({ topicId, partition, ...row })),
    };
  }

  #fetch({ entries }: OffsetFetchRequest, error: ProtocolError | undefined) {
    const row = error === undefined ? ok : { errorCode: error.code, errorMessage: error.message };
    return {
      entries: (entries ?? []).map(({ topicId, partition }) => {
        const held = this.offsets.get(`${topicId}/${partition}`);
        const none = { offset: -1, leaderEpoch: -1, metadata: null };
        const commitTimeMs = held === undefined ? -1 : 1;
        return { topicId, topic: 't', partition, ...row, ...(held ?? none), commitTimeMs };
      }),
    };
  }

  #check({ memberId, generation }: { memberId: string; generation: number }): FakeMember {
    const member = this.members.get(memberId);
    if (member === undefined) throw new ProtocolError('UNKNOWN_MEMBER_ID');
    if (generation !== this.generation) throw new ProtocolError('ILLEGAL_GENERATION');
    return member;
  }
}

function refused(name: ErrorName): JoinGroupResponse {
  return {
    errorCode: errorTable[name].code,
    errorMessage: errorTable[name].message,
    generation: -1,
    protocolType: null,
    protocolName: null,
    leaderId: '',
    memberId: '',
    members: [],
  };
}
