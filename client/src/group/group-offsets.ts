import {
  DEFAULT_MAX_HEADER_BYTES,
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
import { halvesOf, inParts, isTooMuch } from '../request-parts.js';
import { sleep } from '../util/async.js';
import { backoffMs } from '../util/backoff.js';
import { partitionName, quoted } from '../util/text.js';
import { doubtsCoordinator, type CoordinatorConnection } from './coordinator-connection.js';
import { fencedInstance, rowError, type GroupName } from './group-errors.js';
import type { CommitRow, CommittedPosition, TopicPartition } from './types.js';

/** What offsets need to know of their member. */
export interface OffsetsContext extends GroupName {
  readonly identity: () => { readonly memberId: string; readonly generation: number };
  /**
   * The member's present hold on the partition, which lasts until it is given up; another one when
   * the partition comes again. Undefined while the partition is not the member's.
   */
  readonly tenureOf: (partition: TopicPartition) => object | undefined;
  /** While the member is joining: resolves when it is done. */
  readonly roundOver: () => Promise<unknown> | undefined;
  /** The coordinator says that this member is not what it takes itself for. */
  readonly onRefused: (error: MillraceError) => void;
}

/**
 * A row and what held its partition when the commit began: one that was lost and has come back may
 * have been committed further by others, so what was handled before does not count any more.
 */
interface HeldRow {
  readonly row: CommitRow;
  readonly tenure: object | undefined;
}

/** Rows of one commit; their bytes leave room for the ids in the header. */
const MAX_COMMIT = { maxItems: MAX_ENTRIES, maxBytes: DEFAULT_MAX_HEADER_BYTES * 0.75 };
/** Encoded bytes of a row without its metadata, at most. */
const ROW_BYTES = 64;

function bytesOf({ row }: HeldRow): number {
  return ROW_BYTES + (row.metadata === null ? 0 : Buffer.byteLength(row.metadata));
}

const HINT_WHEN_OUT = '; a longer sessionTimeoutMs or rebalanceTimeoutMs makes it rarer';

/** The group has thrown this member out. */
function isOut({ code }: MillraceError): boolean {
  return code === 'UNKNOWN_MEMBER_ID' || code === 'ILLEGAL_GENERATION';
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

  /** One request, unless there are more rows, or longer metadata, than fit into it. */
  async commit(rows: readonly CommitRow[]): Promise<void> {
    const held = rows.map((row) => ({ row, tenure: this.#context.tenureOf(row) }));
    for (const part of inParts(held, bytesOf, MAX_COMMIT)) await this.#commitPart(part);
  }

  async fetch(
    partitions: readonly TopicPartition[],
    signal: AbortSignal | undefined,
  ): Promise<(CommittedPosition | undefined)[]> {
    const positions: (CommittedPosition | undefined)[] = [];
    for (let start = 0; start < partitions.length; start += MAX_ENTRIES) {
      const part = partitions.slice(start, start + MAX_ENTRIES);
      for (const position of await this.#fetchWithin(part, signal)) positions.push(position);
    }
    return positions;
  }

  /** In halves where the answer is too large for one. */
  async #fetchWithin(
    part: readonly TopicPartition[],
    signal: AbortSignal | undefined,
  ): Promise<(CommittedPosition | undefined)[]> {
    const action = `offsets of group ${quoted(this.#context.group)}`;
    const limits = { signal, retryForMs: Infinity };
    try {
      return await this.#cluster.retry(action, limits, () => this.#fetchPart(part, action));
    } catch (error) {
      if (part.length < 2 || !isTooMuch(error)) throw error;
      const [first, second] = halvesOf(part);
      const positions = await this.#fetchWithin(first, signal);
      return [...positions, ...(await this.#fetchWithin(second, signal))];
    }
  }

  async #commitPart(held: readonly HeldRow[]): Promise<void> {
    const { requestTimeoutMs, retryBackoff, onEvent } = this.#cluster;
    const action = `commit to group ${quoted(this.#context.group)}`;
    const deadlineMs = performance.now() + requestTimeoutMs;
    for (let failures = 1; ; failures += 1) {
      const error = await this.#tryCommit(held);
      if (error === undefined) return;
      const delayMs = backoffMs(retryBackoff, failures);
      if (performance.now() + delayMs > deadlineMs) throw this.#outOfTime(error, requestTimeoutMs);
      onEvent({ type: 'retry', action, attempt: failures, delayMs, error });
      // The end of a rebalance is what a commit within one waits for, if it is one that goes on.
      const over = this.#context.roundOver();
      const pause = sleep(delayMs);
      await (over === undefined ? pause : Promise.race([pause, over]));
    }
  }

  /** What a commit ends with that met errors which may pass for as long as it may take. */
  #outOfTime(error: MillraceError, requestTimeoutMs: number): MillraceError {
    if (!isOut(error) && error.code !== 'REBALANCE_IN_PROGRESS') return error;
    const { group } = this.#context;
    const message =
      `Not everything was committed to group ${quoted(group)}: its members were being shared out for all of ` +
      `requestTimeoutMs (${requestTimeoutMs} ms). Commit again, or with the next message; until then ` +
      'who gets the partitions goes on from the last commit';
    return new RebalanceError(message, { group, cause: error });
  }

  /**
   * @returns an error that may pass.
   * @throws others
   */
  async #tryCommit(held: readonly HeldRow[]): Promise<MillraceError | undefined> {
    const { group: groupId, groupInstanceId, identity, tenureOf } = this.#context;
    const strange = held.find(({ row, tenure }) => {
      return tenure === undefined || tenure !== tenureOf(row);
    });
    if (strange !== undefined) throw this.#rebalanced(strange.row);
    const rows = held.map(({ row }) => row);
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
    // A partition that merely moved is no sign of times that are too short.
    const hint = cause !== undefined && isOut(cause) ? HINT_WHEN_OUT : '';
    return new RebalanceError(
      `${what} ${verb} to group ${quoted(group)}: the partition is not this consumer's any more. ` +
        'Who has it now goes on from the last commit, so handle messages so that a second time ' +
        `does no harm${hint}`,
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
