import {
  CONSUMER_PROTOCOL_TYPE,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  joinGroupApi,
  ProtocolError,
  syncGroupApi,
  type JoinGroupResponse,
  type JoinGroupRequest,
  type MemberAssignment,
} from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { MillraceError } from '../errors.js';
import { throwIfAborted } from '../util/abort.js';
import { quoted } from '../util/text.js';
import type { Assignor, AssignorMember, NamedPartition } from './assignors/index.js';
import { doubtsCoordinator, type CoordinatorConnection } from './coordinator-connection.js';
import { rowError } from './group-errors.js';
import type { ResolvedMembershipOptions } from './options.js';
import { byTopic, oneByOne } from './partitions.js';
import { isOutdated, type Shared } from './returning-leader.js';
import { joinError, syncError, unreadableMember } from './round-errors.js';
import { decodePreviousAssignment, encodePreviousAssignment } from './sticky-user-data.js';
import { lookUp } from './subscription.js';

/** How much longer than a rebalance may take its answer is waited for. */
const ANSWER_GRACE_MS = 5_000;
/** The assignor that reads {@link encodePreviousAssignment}. */
const STICKY = 'sticky';

/** Who joins, and with what. */
export interface Joiner {
  readonly memberId: string;
  readonly topics: readonly string[];
  readonly owned: readonly NamedPartition[];
  /** What it had when it last was in the group, and in which generation. */
  readonly previous: readonly NamedPartition[];
  readonly generation: number;
}

/** What came of a round. */
export interface RoundResult {
  readonly memberId: string;
  readonly generation: number;
  readonly assigned: readonly NamedPartition[];
  /** The leader's: how many partitions the topics of all members have; undefined for others. */
  readonly counts: ReadonlyMap<string, number> | undefined;
  /** The group goes on with an assignment that does not fit its topics (any more). */
  readonly outdated: boolean;
}

/** One attempt at a rebalance: join, share out when this is the leader, sync. */
export class JoinRound {
  readonly #cluster: Cluster;
  readonly #coordinator: CoordinatorConnection;
  readonly #options: ResolvedMembershipOptions;

  constructor(
    cluster: Cluster,
    coordinator: CoordinatorConnection,
    options: ResolvedMembershipOptions,
  ) {
    this.#cluster = cluster;
    this.#coordinator = coordinator;
    this.#options = options;
  }

  /**
   * @param onMemberId told when the coordinator has given the member an id
   * @throws BrokerError with the code that the coordinator answered, FRAME_TOO_LARGE also when
   *   nothing was sent; ConnectionError and others
   */
  async run(
    joiner: Joiner,
    onMemberId: (memberId: string) => void,
    limits: CallLimits,
  ): Promise<RoundResult> {
    const joined = await this.#join(joiner, onMemberId, limits);
    const { memberId, generation } = joined;
    const leads = joined.leaderId === memberId && joined.members.length > 0;
    const shared = leads ? await this.#share(joined, limits) : undefined;
    const assignment = await this.#sync(joined, shared?.assignments ?? []);
    const assigned =
      assignment.length === 0 ? [] : oneByOne(decodeAssignment(assignment).partitions);
    const outdated =
      shared !== undefined && joiner.memberId === '' && (await this.#isOutdated(joined, shared));
    return { memberId, generation, assigned, counts: shared?.counts, outdated };
  }

  /** Of a new process of a static member only: of all others the group takes what they assign. */
  async #isOutdated({ generation }: JoinGroupResponse, shared: Shared): Promise<boolean> {
    const { group: groupId, groupInstanceId } = this.#options;
    if (groupInstanceId === null) return false;
    try {
      return await isOutdated(this.#coordinator, { groupId, generation }, shared);
    } catch {
      // A rebalance too many does less harm than partitions that nobody reads.
      return true;
    }
  }

  async #sync(
    { memberId, generation, protocolName }: JoinGroupResponse,
    assignments: readonly MemberAssignment[],
  ): Promise<Buffer> {
    const { group: groupId, groupInstanceId } = this.#options;
    const request = {
      ...{ groupId, memberId, generation, groupInstanceId, protocolName, assignments },
      protocolType: CONSUMER_PROTOCOL_TYPE,
    };
    const call = { timeoutMs: this.#answerWithinMs };
    try {
      return (await this.#coordinator.request('group', syncGroupApi, request, call)).assignment;
    } catch (error) {
      throw syncError(error, groupId, protocolName ?? '', assignments.length);
    }
  }

  get #answerWithinMs(): number {
    return Math.max(
      this.#options.rebalanceTimeoutMs + ANSWER_GRACE_MS,
      this.#cluster.requestTimeoutMs,
    );
  }

  async #join(
    joiner: Joiner,
    onMemberId: (memberId: string) => void,
    { signal }: CallLimits,
  ): Promise<JoinGroupResponse> {
    const { group, assignors, groupInstanceId } = this.#options;
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#options;
    const protocols = assignors.map(({ name }) => ({ name, metadata: metadataFor(name, joiner) }));
    const told = { topics: joiner.topics.length, assignors: assignors.length };
    const send = (request: JoinGroupRequest): Promise<JoinGroupResponse> => {
      const call = { timeoutMs: this.#answerWithinMs, signal };
      return this.#coordinator.request('group', joinGroupApi, request, call);
    };
    let memberId = joiner.memberId;
    for (;;) {
      // Who left after the first of two joins must not come back with the second.
      throwIfAborted(signal);
      const response = await send({
        ...{ groupId: group, memberId, groupInstanceId, clientId: this.#cluster.pool.clientId },
        ...{ sessionTimeoutMs, rebalanceTimeoutMs },
        ...{ protocolType: CONSUMER_PROTOCOL_TYPE, protocols },
      }).catch((error: unknown) => {
        throw joinError(error, group, told);
      });
      const error = rowError(response, { action: `join group ${quoted(group)}` });
      const isNew = memberId === '' && response.memberId !== '';
      if (error === undefined || (error.code === 'MEMBER_ID_REQUIRED' && isNew)) {
        memberId = response.memberId;
        onMemberId(memberId);
      }
      if (error === undefined) return response;
      // Told its id and sent back, so that joins without one leave no ghosts (KIP-394).
      if (error.code !== 'MEMBER_ID_REQUIRED' || !isNew) {
        if (doubtsCoordinator(error)) this.#coordinator.forget();
        throw error;
      }
    }
  }

  async #share(joined: JoinGroupResponse, limits: CallLimits): Promise<Shared> {
    const { group, assignors } = this.#options;
    const assignor = assignors.find(({ name }) => name === joined.protocolName);
    if (assignor === undefined) {
      const message = `Group ${quoted(group)} uses assignor ${quoted(String(joined.protocolName))}`;
      throw new MillraceError('INCONSISTENT_GROUP_PROTOCOL', message, false);
    }
    const members = joined.members.flatMap((member) => this.#describe(member, assignor));
    const topics = members.flatMap((member) => member.topics);
    const { routes } = await lookUp(this.#cluster, topics, limits);
    const count = (topic: string): number => routes.get(topic)?.partitions.length ?? 0;
    const counts = new Map(topics.map((topic) => [topic, count(topic)]));
    const shares = assignor.assign(members, counts);
    const assignments = members.map(({ memberId }) => {
      const partitions = byTopic(shares.get(memberId) ?? []);
      return { memberId, assignment: encodeAssignment({ partitions, userData: null }) };
    });
    return { assignments, counts };
  }

  /** None for a member that cannot be read: it must not be the end of whoever leads the group. */
  #describe(member: JoinGroupResponse['members'][number], assignor: Assignor): AssignorMember[] {
    try {
      return [describe(member, assignor)];
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const warning = unreadableMember(this.#options.group, member, error);
      this.#cluster.onEvent({ type: 'warning', error: warning });
      return [];
    }
  }
}

function metadataFor(assignor: string, joiner: Joiner): Buffer {
  const { topics, owned, previous, generation } = joiner;
  const userData =
    assignor === STICKY && previous.length > 0
      ? encodePreviousAssignment({ partitions: previous, generation })
      : null;
  return encodeSubscription({ topics, userData, owned: byTopic(owned), generation, rackId: null });
}

function describe(
  { memberId, groupInstanceId, metadata }: JoinGroupResponse['members'][number],
  { name }: Assignor,
): AssignorMember {
  const { topics, userData, owned, generation } = decodeSubscription(metadata);
  const previous =
    name === STICKY && userData !== null ? decodePreviousAssignment(userData) : undefined;
  return {
    ...{ memberId, groupInstanceId, topics },
    owned: previous?.partitions ?? oneByOne(owned),
    generation: previous?.generation ?? generation,
  };
}
