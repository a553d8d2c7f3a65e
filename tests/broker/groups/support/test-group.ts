import { encodeAssignment, encodeSubscription, ProtocolError } from '@millrace/protocol';
import type {
  DescribedGroup,
  JoinGroupRequest,
  JoinGroupResponse,
  OffsetCommitResponse,
  SyncGroupRequest,
  SyncGroupResponse,
} from '@millrace/protocol';
import { pino } from 'pino';
import { GroupCoordinator } from '../../../../broker/src/groups/coordinator.js';
import { defaultGroupConfig } from '../../../../broker/src/groups/group-config.js';
import type { GroupConfig } from '../../../../broker/src/groups/group-config.js';
import { FakeClock, settled } from './fake-clock.js';
import { MemoryGroupStore } from './memory-group-store.js';

export const GROUP = 'billing';
export const TOPIC = 'orders';
/** Of {@link TOPIC}, which has 8 partitions. */
export const TOPIC_ID = 'a'.repeat(32);
export const PARTITIONS = 8;
export const SESSION_MS = 10_000;
export const REBALANCE_MS = 30_000;

/** An answer to come, and whether it has. */
export interface Pending<Answer> {
  readonly promise: Promise<Answer>;
  /** undefined while it waits. */
  outcome: Answer | ProtocolError | undefined;
}

/** A member that made it through join and sync. */
export interface Joined {
  readonly memberId: string;
  readonly generation: number;
}

/** A coordinator with a clock and a store that the test is in charge of. */
export class TestGroup {
  readonly clock: FakeClock;
  store: MemoryGroupStore;
  readonly config: GroupConfig;
  readonly topics = new Map([[TOPIC_ID, { name: TOPIC, partitions: PARTITIONS }]]);
  coordinator: GroupCoordinator;
  #ids = 0;

  constructor(config: Partial<GroupConfig> = {}, clock = new FakeClock()) {
    this.clock = clock;
    this.store = new MemoryGroupStore();
    this.config = { ...defaultGroupConfig, ...config };
    this.coordinator = this.#newCoordinator();
  }

  /** The broker stops, orderly or not, and another one starts on what was stored. */
  restart(how: 'close' | 'crash' = 'close'): void {
    const old = this.coordinator;
    if (how === 'close') old.close();
    this.store = this.store.crash();
    this.coordinator = this.#newCoordinator();
    this.coordinator.restore(this.store.groups.values());
    if (how === 'crash') old.close();
  }

  join(fields: Partial<JoinGroupRequest> = {}, cancel?: AbortSignal): Pending<JoinGroupResponse> {
    const request = { ...joinRequest, ...fields };
    const client = { clientId: request.clientId, host: '10.0.0.7:5000' };
    return watch(this.coordinator.join(request, client, cancel));
  }

  sync(fields: Partial<SyncGroupRequest>, cancel?: AbortSignal): Pending<SyncGroupResponse> {
    return watch(this.coordinator.sync({ ...syncRequest, ...fields }, cancel));
  }

  /** A new dynamic member up to where its join waits, or is answered. */
  async enter(
    fields: Partial<JoinGroupRequest> = {},
    cancel?: AbortSignal,
  ): Promise<{ memberId: string; join: Pending<JoinGroupResponse> }> {
    const { memberId } = await this.join(fields).promise;
    const join = this.join({ ...fields, memberId }, cancel);
    await settled();
    return { memberId, join };
  }

  /** A group of `count` new members that is Stable; `given` says who gets what. */
  async stable(
    count: number,
    given: readonly (readonly number[])[] = [],
    fields: Partial<JoinGroupRequest> = {},
  ): Promise<Joined[]> {
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) ids.push(await this.#newId(fields));
    // The first one does not wait for the others, and is asked to join again by them.
    let joins = [await this.join({ ...fields, memberId: ids[0] ?? '' }).promise];
    if (count > 1) {
      const waits = ids.toReversed().map((memberId) => this.join({ ...fields, memberId }));
      joins = (await Promise.all(waits.map(({ promise }) => promise))).reverse();
    }
    const leader = joins.find(({ leaderId, memberId }) => leaderId === memberId);
    const assignments = ids.map((memberId, index) => ({
      memberId,
      assignment: assigned(given[index] ?? []),
    }));
    const syncs = joins.map(({ memberId, generation }) =>
      this.sync({
        ...{ memberId, generation },
        assignments: memberId === leader?.memberId ? assignments : [],
      }),
    );
    await Promise.all(syncs.map(({ promise }) => promise));
    return joins.map(({ memberId, generation }) => ({ memberId, generation }));
  }

  heartbeat(member: Joined, groupInstanceId: string | null = null): string {
    return outcomeOf(() =>
      this.coordinator.heartbeat({ groupId: GROUP, ...member, groupInstanceId }),
    );
  }

  leave(memberId: string, groupInstanceId: string | null = null): number[] {
    const members = [{ memberId, groupInstanceId, reason: null }];
    return this.coordinator.leave({ groupId: GROUP, members }).members.map((row) => row.errorCode);
  }

  /** A commit of one offset. */
  commit(
    member: Joined,
    partition: number,
    offset: number,
    more: { groupInstanceId?: string; metadata?: string; topicId?: string } = {},
  ): Promise<OffsetCommitResponse> {
    const { groupInstanceId = null, metadata = null, topicId = TOPIC_ID } = more;
    const entries = [{ topicId, partition, offset, leaderEpoch: 0, metadata }];
    return this.coordinator.commit({ groupId: GROUP, ...member, groupInstanceId, entries });
  }

  committed(partition: number, groupId = GROUP): number {
    return this.store.committed(groupId, TOPIC_ID, partition)?.offset ?? -1;
  }

  get described(): DescribedGroup {
    const [group] = this.coordinator.describe({ groupIds: [GROUP] }).groups;
    if (group === undefined) throw new Error('nothing was described');
    return group;
  }

  async #newId(fields: Partial<JoinGroupRequest>): Promise<string> {
    return (await this.join({ ...fields, memberId: '' }).promise).memberId;
  }

  #newCoordinator(): GroupCoordinator {
    const { clock, config, store, topics } = this;
    return new GroupCoordinator({
      ...{ clock, config, store, nodeId: 1, logger: pino({ level: 'silent' }) },
      newId: () => String((this.#ids += 1)),
      topics: {
        nameOf: (topicId) => topics.get(topicId)?.name,
        hasPartition: (topicId, partition) => partition < (topics.get(topicId)?.partitions ?? 0),
      },
    });
  }
}

export const nobody: Joined = { memberId: '', generation: -1 };

export function subscribed(topics: readonly string[], owned: readonly number[] = []): Buffer {
  const partitions = owned.length === 0 ? [] : [{ topic: TOPIC, partitions: owned }];
  return encodeSubscription({
    ...{ topics, userData: null, owned: partitions, generation: -1, rackId: null },
  });
}

export function assigned(partitions: readonly number[]): Buffer {
  return encodeAssignment({ partitions: [{ topic: TOPIC, partitions }], userData: null });
}

const joinRequest: JoinGroupRequest = {
  groupId: GROUP,
  memberId: '',
  groupInstanceId: null,
  clientId: 'app',
  sessionTimeoutMs: SESSION_MS,
  rebalanceTimeoutMs: REBALANCE_MS,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: subscribed([TOPIC]) }],
};

const syncRequest: SyncGroupRequest = {
  groupId: GROUP,
  memberId: '',
  generation: -1,
  groupInstanceId: null,
  protocolType: null,
  protocolName: null,
  assignments: [],
};

/** The name of the error that `work` throws; NONE if it does not. */
export function outcomeOf(work: () => void): string {
  try {
    work();
    return 'NONE';
  } catch (error) {
    if (error instanceof ProtocolError) return error.errorName;
    throw error;
  }
}

/** The name of the error that a promise rejects with; NONE if it does not. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'NONE';
  } catch (error) {
    if (error instanceof ProtocolError) return error.errorName;
    throw error;
  }
}

/** The name of the error in a row of a response. */
export function errorIn(row: { readonly errorCode: number } | undefined): string {
  if (row === undefined) return 'no row';
  return row.errorCode === 0 ? 'NONE' : ProtocolError.fromCode(row.errorCode).errorName;
}

function watch<Answer>(promise: Promise<Answer>): Pending<Answer> {
  const pending: Pending<Answer> = { promise, outcome: undefined };
  const settle = (outcome: Answer | ProtocolError): void => {
    pending.outcome = outcome;
  };
  promise.then(settle, settle);
  return pending;
}
