import { describeCluster } from './admin/cluster-description.js';
import { deleteOffsets, groupOffsets } from './admin/group-offsets.js';
import { deleteGroups, describeGroups, listGroups } from './admin/groups.js';
import { listTopicOffsets, topicOffsets } from './admin/offsets.js';
import { resetOffsets } from './admin/reset-offsets.js';
import { alterConfig, createPartitions, deleteRecords } from './admin/topic-changes.js';
import { createTopics, deleteTopic, describeTopics, listTopics } from './admin/topics.js';
import type {
  AlterConfigOptions,
  ClusterDescription,
  ConfigChanges,
  CreatedTopic,
  DeletedRecords,
  GroupDescription,
  GroupListing,
  GroupOffset,
  GroupOffsetsOptions,
  ListGroupsOptions,
  OffsetAt,
  PartitionOffset,
  PartitionOffsets,
  PartitionOfTopic,
  RecordsToDelete,
  ResetOffset,
  ResetOffsetsOptions,
  TopicDescription,
  TopicListing,
  TopicSpec,
} from './admin-types.js';
import type { Cluster } from './cluster.js';
import { InvalidArgumentError } from './errors.js';
import type { SignalOption } from './options.js';
import { checkKeys, type KeysOf } from './util/known-keys.js';

/**
 * Topics, groups and the cluster: what there is, and how to change it. Retriable failures are
 * retried within the client's `requestTimeoutMs`; every method throws BrokerError,
 * ConnectionError and their like, InvalidArgumentError for an option that it does not have, and
 * the signal's reason.
 */
export class Admin {
  readonly #cluster: Cluster;

  /** Made by the client. */
  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * Creates a topic; when it returns the topic can be used. With `ifNotExists`, one that exists
   * already does as well, whatever its partitions and configuration are.
   *
   * @throws InvalidArgumentError for a field that no topic has; BrokerError with code
   *   TOPIC_ALREADY_EXISTS, INVALID_TOPIC, INVALID_PARTITIONS, INVALID_CONFIG, POLICY_VIOLATION
   *   or LIMIT_EXCEEDED.
   */
  async createTopic(spec: TopicSpec, options: SignalOption = {}): Promise<CreatedTopic> {
    const [created] = await this.createTopics([spec], options);
    if (created === undefined) throw new InvalidArgumentError('The broker answered nothing');
    return created;
  }

  /**
   * Creates topics, each on its own.
   *
   * @throws the error of the one that failed, or an AggregateError with those of several; the
   *   others were created.
   */
  async createTopics(
    specs: readonly TopicSpec[],
    options: SignalOption = {},
  ): Promise<CreatedTopic[]> {
    checkKeys('createTopics option', options, signalKeys);
    return createTopics(this.#cluster, specs, options);
  }

  /**
   * Deletes a topic and everything in it, what groups have committed there included.
   *
   * @throws UnknownTopicError when there is none.
   */
  async deleteTopic(name: string, options: SignalOption = {}): Promise<void> {
    checkKeys('deleteTopic option', options, signalKeys);
    return deleteTopic(this.#cluster, name, options);
  }

  /** All topics, ordered by name; the broker's own, such as `__offsets`, included. */
  async listTopics(options: SignalOption = {}): Promise<TopicListing[]> {
    checkKeys('listTopics option', options, signalKeys);
    return listTopics(this.#cluster, options);
  }

  /** @throws UnknownTopicError when there is none. */
  async describeTopic(name: string, options: SignalOption = {}): Promise<TopicDescription> {
    const [description] = await this.describeTopics([name], options);
    if (description === undefined) throw new InvalidArgumentError('The broker answered nothing');
    return description;
  }

  /**
   * Topics with their configuration and partitions, in the order of the names.
   *
   * @throws UnknownTopicError for the first that there is none of.
   */
  async describeTopics(
    names: readonly string[],
    options: SignalOption = {},
  ): Promise<TopicDescription[]> {
    checkKeys('describeTopics option', options, signalKeys);
    return describeTopics(this.#cluster, names, options);
  }

  /**
   * Changes the configuration of a topic, all keys or none; the others keep their values. When it
   * returns the change is on disk, and applies from the next append, segment and check on.
   *
   * ```ts
   * await admin.alterConfig('events', { 'retention.ms': 86_400_000, 'segment.bytes': null });
   * ```
   *
   * @param changes values by key; null goes back to the broker's default
   * @throws UnknownTopicError; BrokerError with code INVALID_CONFIG, which names the key and its
   *   range, or POLICY_VIOLATION for a topic of the broker's own.
   */
  async alterConfig(
    topic: string,
    changes: ConfigChanges,
    options: AlterConfigOptions = {},
  ): Promise<void> {
    checkKeys('alterConfig option', options, alterKeys);
    const { validateOnly = false, signal } = options;
    return alterConfig(this.#cluster, topic, changes, { validateOnly, signal });
  }

  /**
   * Adds empty partitions to a topic. Keys are placed by the number of partitions: messages of a
   * key that are sent from now on can go to another partition than those before. Producers that
   * have sent to the topic go on with the partitions that they know until they look it up again.
   *
   * @param total how many partitions the topic is to have
   * @returns how many it has.
   * @throws UnknownTopicError; BrokerError with code INVALID_PARTITIONS when it has as many or
   *   more already.
   */
  async createPartitions(
    topic: string,
    total: number,
    options: SignalOption = {},
  ): Promise<number> {
    checkKeys('createPartitions option', options, signalKeys);
    return createPartitions(this.#cluster, topic, total, options);
  }

  /**
   * Deletes the first messages of partitions, for good. The space of a segment comes back when
   * the last message in it is deleted.
   *
   * @returns where each partition begins now, in the order asked for; never before what was there.
   * @throws UnknownTopicError; BrokerError with code OFFSET_OUT_OF_RANGE for an offset beyond the
   *   high watermark; of several errors an AggregateError. The others were deleted.
   */
  async deleteRecords(
    deletions: readonly RecordsToDelete[],
    options: SignalOption = {},
  ): Promise<DeletedRecords[]> {
    checkKeys('deleteRecords option', options, signalKeys);
    return deleteRecords(this.#cluster, deletions, options);
  }

  /**
   * One offset of each partition: the beginning, the end, or the first message at or after a
   * time.
   *
   * @throws UnknownTopicError when there is no such topic.
   */
  async listOffsets(
    topic: string,
    at: OffsetAt,
    options: SignalOption = {},
  ): Promise<PartitionOffset[]> {
    checkKeys('listOffsets option', options, signalKeys);
    return listTopicOffsets(this.#cluster, topic, at, options);
  }

  /** What each partition holds: from `beginning` to before `end`. */
  async offsets(topic: string, options: SignalOption = {}): Promise<PartitionOffsets[]> {
    checkKeys('offsets option', options, signalKeys);
    return topicOffsets(this.#cluster, topic, options);
  }

  /** All groups, or those in some states, ordered by name. */
  async listGroups(options: ListGroupsOptions = {}): Promise<GroupListing[]> {
    checkKeys('listGroups option', options, listKeys);
    const { states = [], signal } = options;
    return listGroups(this.#cluster, states, { signal });
  }

  /** @throws BrokerError with code GROUP_ID_NOT_FOUND when there is none. */
  async describeGroup(groupId: string, options: SignalOption = {}): Promise<GroupDescription> {
    const [description] = await this.describeGroups([groupId], options);
    if (description === undefined) throw new InvalidArgumentError('The broker answered nothing');
    return description;
  }

  /**
   * Groups with their members and what those read, in the order of the names.
   *
   * @throws BrokerError with code GROUP_ID_NOT_FOUND for the first that there is none of.
   */
  async describeGroups(
    groupIds: readonly string[],
    options: SignalOption = {},
  ): Promise<GroupDescription[]> {
    checkKeys('describeGroups option', options, signalKeys);
    return describeGroups(this.#cluster, groupIds, options);
  }

  /**
   * How far a group is in each partition of its topics, ordered by topic and partition. Those
   * without a commit are there too, with null.
   *
   * @throws BrokerError with code GROUP_ID_NOT_FOUND when there is no such group;
   *   UnknownTopicError for one of `topics`.
   */
  async groupOffsets(groupId: string, options: GroupOffsetsOptions = {}): Promise<GroupOffset[]> {
    checkKeys('groupOffsets option', options, groupOffsetsKeys);
    const { topics, signal } = options;
    return groupOffsets(this.#cluster, groupId, topics, { signal });
  }

  /**
   * Moves the committed offsets of a group that nobody is a member of. An offset that a partition
   * does not hold becomes the nearest that it does. For topics or partitions that are named the
   * group need not exist: it is made.
   *
   * ```ts
   * await admin.resetOffsets('billing', { to: new Date('2026-01-31T12:00Z'), dryRun: true });
   * ```
   *
   * @returns what was done (or with `dryRun` would be), ordered by topic and partition.
   * @throws BrokerError with code NON_EMPTY_GROUP, which names the members, while the group is
   *   active (also with `dryRun`), or GROUP_ID_NOT_FOUND; UnknownTopicError;
   *   InvalidArgumentError for a shift where nothing is committed.
   */
  async resetOffsets(groupId: string, options: ResetOffsetsOptions): Promise<ResetOffset[]> {
    checkKeys('resetOffsets option', options, resetKeys);
    return resetOffsets(this.#cluster, groupId, options);
  }

  /** As {@link deleteGroups}, of one. */
  async deleteGroup(groupId: string, options: SignalOption = {}): Promise<void> {
    return this.deleteGroups([groupId], options);
  }

  /**
   * Deletes groups that nobody is a member of, with everything that they have committed.
   *
   * @throws BrokerError with code NON_EMPTY_GROUP, which names the members, or
   *   GROUP_ID_NOT_FOUND; of several errors an AggregateError. The others were deleted.
   */
  async deleteGroups(groupIds: readonly string[], options: SignalOption = {}): Promise<void> {
    checkKeys('deleteGroups option', options, signalKeys);
    return deleteGroups(this.#cluster, groupIds, options);
  }

  /**
   * Forgets what a group has committed in partitions, so that its next consumer starts there as
   * if it had never read.
   *
   * @throws UnknownTopicError; BrokerError with code GROUP_SUBSCRIBED_TO_TOPIC while a member
   *   reads it, or GROUP_ID_NOT_FOUND; of several errors an AggregateError.
   */
  async deleteOffsets(
    groupId: string,
    partitions: readonly PartitionOfTopic[],
    options: SignalOption = {},
  ): Promise<void> {
    checkKeys('deleteOffsets option', options, signalKeys);
    return deleteOffsets(this.#cluster, groupId, partitions, options);
  }

  /** The brokers and how much they hold. */
  async describeCluster(options: SignalOption = {}): Promise<ClusterDescription> {
    checkKeys('describeCluster option', options, signalKeys);
    return describeCluster(this.#cluster, options);
  }
}

const signalKeys: KeysOf<SignalOption> = { signal: true };
const alterKeys: KeysOf<AlterConfigOptions> = { ...signalKeys, validateOnly: true };
const listKeys: KeysOf<ListGroupsOptions> = { ...signalKeys, states: true };
const groupOffsetsKeys: KeysOf<GroupOffsetsOptions> = { ...signalKeys, topics: true };
const resetKeys: KeysOf<ResetOffsetsOptions> = {
  ...signalKeys,
  to: true,
  topics: true,
  partitions: true,
  dryRun: true,
};
