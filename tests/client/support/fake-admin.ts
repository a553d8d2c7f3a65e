import {
  encodeAssignment,
  ProtocolError,
  type AlterTopicConfigsRequest,
  type CreatePartitionsRequest,
  type DeleteGroupsRequest,
  type DeleteRecordsRequest,
  type DescribeGroupsRequest,
  type DescribedMember,
  type ErrorName,
  type GroupState,
  type ListGroupsRequest,
  type OffsetCommitRequest,
  type OffsetDeleteRequest,
  type OffsetFetchRequest,
} from '@millrace/protocol';
import type { FakeBroker } from './fake-broker.js';
import { FakePartition } from './fake-log.js';

/** A group of the fake broker. */
export interface FakeGroup {
  state: GroupState;
  protocolType: string;
  generation: number;
  members: DescribedMember[];
  /** By topic id and partition. */
  readonly commits: Map<string, FakeCommit>;
}

interface FakeCommit {
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string | null;
  readonly commitTimeMs: number;
}

const ok = { errorCode: 0, errorMessage: null };

/** When every commit of a fake group was made. */
export const COMMIT_TIME_MS = Date.UTC(2026, 0, 31, 12);

/** The administration of a fake broker: what its groups hold, and what it was asked to change. */
export class FakeAdmin {
  readonly groups = new Map<string, FakeGroup>();
  /** Groups in one answer. */
  groupsPerPage = Infinity;
  readonly configs = new Map<string, Map<string, string>>();
  readonly #broker: FakeBroker;

  constructor(broker: FakeBroker) {
    this.#broker = broker;
    const { extra } = broker;
    extra.set('findCoordinator', () => ({ nodeId: 1, host: '', port: 0 }));
    extra.set('alterTopicConfigs', (request) => this.#alter(request as AlterTopicConfigsRequest));
    extra.set('createPartitions', (request) => this.#grow(request as CreatePartitionsRequest));
    extra.set('deleteRecords', (request) => this.#deleteRecords(request as DeleteRecordsRequest));
    extra.set('describeCluster', () => this.#describeCluster());
    extra.set('listGroups', (request) => this.#list(request as ListGroupsRequest));
    extra.set('describeGroups', (request) => this.#describe(request as DescribeGroupsRequest));
    extra.set('deleteGroups', (request) => this.#delete(request as DeleteGroupsRequest));
    extra.set('offsetFetch', (request) => this.#fetch(request as OffsetFetchRequest));
    extra.set('offsetCommit', (request) => this.#commit(request as OffsetCommitRequest));
    extra.set('offsetDelete', (request) => this.#forget(request as OffsetDeleteRequest));
  }

  /** A group without members. */
  group(groupId: string): FakeGroup {
    const group: FakeGroup = {
      state: 'Empty',
      protocolType: 'consumer',
      generation: 3,
      members: [],
      commits: new Map(),
    };
    this.groups.set(groupId, group);
    return group;
  }

  commit(group: FakeGroup, topic: string, partition: number, offset: number, epoch = 0): void {
    const topicId = this.#broker.topics.get(topic)?.id ?? '';
    const row = { topicId, partition, offset, leaderEpoch: epoch };
    const metadata = offset === 0 ? null : `at ${offset}`;
    const commit = { ...row, metadata, commitTimeMs: COMMIT_TIME_MS };
    group.commits.set(keyOf(commit), commit);
  }

  /** A member that was assigned partitions of one topic. */
  join(group: FakeGroup, clientId: string, topic: string, partitions: readonly number[]): void {
    group.state = 'Stable';
    const assignment = encodeAssignment({ partitions: [{ topic, partitions }], userData: null });
    group.members.push({
      memberId: `${clientId}-1`,
      groupInstanceId: null,
      clientId,
      clientHost: '10.0.0.7',
      metadata: Buffer.alloc(0),
      assignment,
    });
  }

  /** What a group has committed, as `topic-partition` to offset. */
  offsetsOf(groupId: string): Record<string, number> {
    const commits = [...(this.groups.get(groupId)?.commits.values() ?? [])];
    return Object.fromEntries(
      commits.map(({ topicId, partition, offset }) => [
        `${this.#broker.topicById(topicId)?.name ?? '?'}-${partition}`,
        offset,
      ]),
    );
  }

  #alter({ topics, validateOnly }: AlterTopicConfigsRequest) {
    return {
      topics: topics.map(({ name, changes }) => {
        if (!this.#broker.topics.has(name)) {
          return { ...refused('UNKNOWN_TOPIC_OR_PARTITION'), name };
        }
        const unknown = changes.find(({ key }) => !key.includes('.'));
        if (unknown !== undefined) {
          return { ...refused('INVALID_CONFIG', `There is no config key "${unknown.key}"`), name };
        }
        const config = this.configs.get(name) ?? new Map<string, string>();
        this.configs.set(name, config);
        for (const { key, value } of validateOnly ? [] : changes) {
          if (value === null) config.delete(key);
          else config.set(key, value);
        }
        return { ...ok, name };
      }),
    };
  }

  #grow({ topics }: CreatePartitionsRequest) {
    return {
      topics: topics.map(({ name, partitions }) => {
        const topic = this.#broker.topics.get(name);
        if (topic === undefined) {
          return { ...refused('UNKNOWN_TOPIC_OR_PARTITION'), name, partitions: 0 };
        }
        const has = topic.partitions.length;
        if (partitions <= has) {
          const row = refused('INVALID_PARTITIONS', `topic ${name} has ${has} partitions already`);
          return { ...row, name, partitions: has };
        }
        while (topic.partitions.length < partitions) topic.partitions.push(new FakePartition());
        return { ...ok, name, partitions };
      }),
    };
  }

  #deleteRecords({ entries }: DeleteRecordsRequest) {
    return {
      entries: entries.map(({ topicId, partition, offset }) => {
        const held = this.#broker.topicById(topicId)?.partitions[partition];
        const row = { topicId, partition };
        if (held === undefined)
          return { ...refused('UNKNOWN_TOPIC_ID'), ...row, logStartOffset: -1 };
        if (offset > held.endOffset) {
          return { ...refused('OFFSET_OUT_OF_RANGE'), ...row, logStartOffset: -1 };
        }
        held.startOffset = Math.max(held.startOffset, offset < 0 ? held.endOffset : offset);
        return { ...ok, ...row, logStartOffset: held.startOffset };
      }),
    };
  }

  #describeCluster() {
    const topics = [...this.#broker.topics.values()];
    return {
      clusterId: 'fake',
      controllerId: 1,
      nodes: [
        {
          nodeId: 1,
          host: '',
          port: 0,
          version: '0.0.0',
          mode: 'millrace',
          persist: 'mmap',
          serve: 'sendfile',
          startedAtMs: COMMIT_TIME_MS,
        },
      ],
      topics: topics.length,
      partitions: topics.reduce((sum, { partitions }) => sum + partitions.length, 0),
      offlinePartitions: 0,
      groups: this.groups.size,
      logBytes: 3 * 1024 * 1024,
    };
  }

  #list({ states, after }: ListGroupsRequest) {
    const groups = [...this.groups]
      .filter(([, { state }]) => states.length === 0 || states.includes(state))
      .filter(([groupId]) => groupId > after)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      more: groups.length > this.groupsPerPage,
      groups: groups
        .slice(0, this.groupsPerPage)
        .map(([groupId, { protocolType, state, members }]) => ({
          groupId,
          protocolType,
          state,
          memberCount: members.length,
        })),
    };
  }

  #describe({ groupIds }: DescribeGroupsRequest) {
    return {
      groups: groupIds.map((groupId) => {
        const group = this.groups.get(groupId);
        const nobody = { protocolName: '', coordinator: 1, generation: -1, members: [] };
        if (group === undefined) {
          const row = refused('GROUP_ID_NOT_FOUND');
          return { ...row, groupId, state: 'Dead' as const, protocolType: '', ...nobody };
        }
        const { state, protocolType, generation, members } = group;
        const protocolName = members.length === 0 ? '' : 'cooperative-sticky';
        const row = { ...ok, groupId, state, protocolType, protocolName, generation, members };
        return { ...row, coordinator: 1 };
      }),
    };
  }

  #delete({ groupIds }: DeleteGroupsRequest) {
    return {
      groups: groupIds.map((groupId) => {
        const group = this.groups.get(groupId);
        if (group === undefined) return { ...refused('GROUP_ID_NOT_FOUND'), groupId };
        if (group.members.length > 0) return { ...refused('NON_EMPTY_GROUP'), groupId };
        this.groups.delete(groupId);
        return { ...ok, groupId };
      }),
    };
  }

  #fetch({ groupId }: OffsetFetchRequest) {
    const commits = [...(this.groups.get(groupId)?.commits.values() ?? [])];
    return {
      entries: commits.map((row) => ({
        ...ok,
        ...row,
        topic: this.#broker.topicById(row.topicId)?.name ?? '',
      })),
    };
  }

  #commit({ groupId, entries }: OffsetCommitRequest) {
    const group = this.groups.get(groupId) ?? this.group(groupId);
    return {
      entries: entries.map((entry) => {
        const { topicId, partition } = entry;
        if (group.members.length > 0)
          return { ...refused('UNKNOWN_MEMBER_ID'), topicId, partition };
        group.commits.set(keyOf(entry), { ...entry, commitTimeMs: COMMIT_TIME_MS });
        return { ...ok, topicId, partition };
      }),
    };
  }

  #forget({ groupId, entries }: OffsetDeleteRequest) {
    const group = this.groups.get(groupId);
    return {
      entries: entries.map((entry) => {
        const { topicId, partition } = entry;
        if (group === undefined) return { ...refused('GROUP_ID_NOT_FOUND'), topicId, partition };
        group.commits.delete(keyOf(entry));
        return { ...ok, topicId, partition };
      }),
    };
  }
}

function keyOf({ topicId, partition }: { topicId: string; partition: number }): string {
  return `${topicId}-${partition}`;
}

function refused(name: ErrorName, message?: string) {
  const error = new ProtocolError(name, message);
  return { errorCode: error.code, errorMessage: error.message };
}
