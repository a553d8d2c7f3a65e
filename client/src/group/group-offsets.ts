import {
  MAX_ENTRIES,
  offsetCommitApi,
  offsetFetchApi,
  type OffsetCommitResult,
} from '@millrace/protocol';
import type { Cluster } from '../cluster.js';
import {
  ConnectionError,
  RebalanceError,
  toMillraceError,
  UnknownTopicError,
  type MillraceError,
} from '../errors.js';
import { sleep } from '../util/async.js';
import { backoffMs } from '../util/backoff.js';
import { partitionName, quoted } from '../util/text.js';
import { doubtsCoordinator, type CoordinatorConnection } from './coordinator-connection.js';
import { fencedInstance, rowError, type GroupName } from './group-errors.js';
import type { CommitRow, CommittedPosition, TopicPartition } from './types.js';

/** What offsets need to know of their member. */
export interface OffsetsContext extends GroupName {
  readonly identity: () => { readonly memberId: string; readonly generation: number };
  /** Whether the partition is the member's, which includes what it is giving up. */
  readonly holds: (partition: TopicPartition) => boolean;
  /** While the member is joining: resolves when it is done. */
  readonly roundOver: () => Promise<unknown> | undefined;
  /** The coordinator says that this member is not what it takes itself for. */
  readonly onRefused: (error: MillraceError) => void;
}

/** Positions of a group: committed as its member, and read. */
export class GroupOffsets {
  readonly #cluster: Cluster;
  readonly #coordinator: CoordinatorConnection;
  readonly #context: OffsetsContext;

  constructor(cluster: Cluster, coordinator: CoordinatorConnection, context: OffsetsContext) {
    this.#cluster = cluster;
    this.#coordinator = coordinator;
    this.#context = context;
  }

  /** One request, unless there are more than {@link MAX_ENTRIES} rows. */
  async commit(rows: readonly CommitRow[]): Promise<void> {
    for (let start = 0; start < rows.length; start += MAX_ENTRIES) {
      await this.#commitPart(rows.slice(start, start + MAX_ENTRIES));
    }
  }

  async fetch(
    partitions: readonly TopicPartition[],
    signal: AbortSignal | undefined,
  ): Promise<(CommittedPosition | undefined)[]> {
    const positions: (CommittedPosition | undefined)[] = [];
    for (let start = 0; start < partitions.length; start += MAX_ENTRIES) {
      const part = partitions.slice(start, start + MAX_ENTRIES);
      const action = `offsets of group ${quoted(this.#context.group)}`;
      const limits = { signal, retryForMs: Infinity };
      positions.push(
        ...(await this.#cluster.retry(action, limits, () => this.#fetchPart(part, action))),
      );
    }
    return positions;
  }

  async #commitPart(rows: readonly CommitRow[]): Promise<void> {
    const { requestTimeoutMs, retryBackoff, onEvent } = this.#cluster;
    const action = `commit to group ${quoted(this.#context.group)}`;
    const deadlineMs = performance.now() + requestTimeoutMs;
    for (let failures = 1; ; failures += 1) {
      const error = await this.#tryCommit(rows);
      if (error === undefined) return;
      const delayMs = backoffMs(retryBackoff, failures);
      if (performance.now() + delayMs > deadlineMs) throw error;
      onEvent({ type: 'retry', action, attempt: failures, delayMs, error });
      // The end of a rebalance is what a commit within one waits for, if it is one that goes on.
      const over = this.#context.roundOver();
      const pause = sleep(delayMs);
      await (over === undefined ? pause : Promise.race([pause, over]));
    }
  }

  /**
   * @returns an error that may pass.
   * @throws others
   */
  async #tryCommit(rows: readonly CommitRow[]): Promise<MillraceError | undefined> {
    const { group: groupId, groupInstanceId, identity, holds } = this.#context;
    const strange = rows.find((row) => !holds(row));
    if (strange !== undefined) throw this.#rebalanced(strange);
    const { memberId, generation } = identity();
    const request = { groupId, memberId, generation, groupInstanceId, entries: rows };
    let results: readonly OffsetCommitResult[];
    try {
      ({ entries: results } = await this.#coordinator.request('admin', offsetCommitApi, request));
    } catch (thrown) {
      const error = toMillraceError(thrown);
      return this.#judge(error, rows[0], { memberId, generation });
    }
    let passing: MillraceError | undefined;
    for (const [index, row] of rows.entries()) {
      const result = results[index];
      if (result?.partition !== row.partition || result.topicId !== row.topicId) {
        throw new ConnectionError('An offsetCommit response does not fit its request', {});
      }
      const { topic, partition } = row;
      const action = `commit ${partitionName(topic, partition)} to group ${quoted(groupId)}`;
      const error = rowError(result, { topic, partition, action });
      if (error !== undefined) passing ??= this.#judge(error, row, { memberId, generation });
    }
    return passing;
  }

  /** @returns the error when it may pass, else throws what it means. */
  #judge(
    error: MillraceError,
    row: CommitRow | undefined,
    sent: { readonly memberId: string; readonly generation: number },
  ): MillraceError {
    const { identity, roundOver, onRefused } = this.#context;
    if (doubtsCoordinator(error)) this.#coordinator.forget();
    switch (error.code) {
      case 'FENCED_INSTANCE_ID':
        onRefused(error);
        throw fencedInstance(this.#context, error);
      case 'REBALANCE_IN_PROGRESS':
        onRefused(error);
        return error;
      case 'UNKNOWN_MEMBER_ID':
      case 'ILLEGAL_GENERATION': {
        const now = identity();
        const isOld = sent.memberId !== now.memberId || sent.generation !== now.generation;
        // The group has moved on and this member is about to learn what it still owns.
        if (isOld || roundOver() !== undefined) return error;
        onRefused(error);
        throw this.#rebalanced(row, error);
      }
      case 'NOT_PARTITION_OWNER':
        throw this.#rebalanced(row, error);
      case 'UNKNOWN_TOPIC_ID':
      case 'UNKNOWN_TOPIC_OR_PARTITION':
        throw new UnknownTopicError(error.message, {
          topic: row?.topic,
          partition: row?.partition,
          cause: error,
        });
      default:
        if (error.retriable) return error;
        throw error;
    }
  }

  #rebalanced(row: CommitRow | undefined, cause?: MillraceError): RebalanceError {
    const { group } = this.#context;
    const { topic, partition } = row ?? {};
    const what =
      topic === undefined || partition === undefined
        ? 'Nothing'
        : `The offset of ${partitionName(topic, partition)}`;
    const verb = what === 'Nothing' ? 'was committed' : 'was not committed';
    return new RebalanceError(
      `${what} ${verb} to group ${quoted(group)}: the partition is not this consumer's any more. ` +
        'Who has it now goes on from the last commit, so handle messages so that a second time ' +
        'does no harm; a longer sessionTimeoutMs or rebalanceTimeoutMs makes it rarer',
      { group, topic, partition, cause },
    );
  }

  async #fetchPart(
    partitions: readonly TopicPartition[],
    action: string,
  ): Promise<(CommittedPosition | undefined)[]> {
    const { group: groupId } = this.#context;
    const entries = partitions.map(({ topicId, partition }) => ({ topicId, partition }));
    const request = { groupId, entries };
    const response = await this.#coordinator.request('admin', offsetFetchApi, request);
    return partitions.map(({ topic, topicId, partition }, index) => {
      const row = response.entries[index];
      if (row?.partition !== partition || row.topicId !== topicId) {
        throw new ConnectionError('An offsetFetch response does not fit its request', { topic });
      }
      const error = rowError(row, { topic, partition, action });
      if (error !== undefined) {
        if (doubtsCoordinator(error)) this.#coordinator.forget();
        throw error;
      }
      if (row.offset < 0) return undefined;
      const { offset, leaderEpoch, metadata, commitTimeMs } = row;
      return { offset, leaderEpoch, metadata, commitTimeMs };
    });
  }
}
