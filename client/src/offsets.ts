import { listOffsetsApi, ProtocolError } from '@millrace/protocol';
import { doubtsMetadata, type CallLimits, type Cluster, type TopicRoute } from './cluster.js';
import { BrokerError, ConnectionError } from './errors.js';
import { noSuchPartition } from './missing.js';
import { partitionName } from './util/text.js';

/** Which offset of a partition is wanted. */
export interface OffsetQuery {
  readonly topic: string;
  readonly partition: number;
  /** Unix time in ms: the first message at or after it; or one of protocol's two constants. */
  readonly timestampMs: number;
}

/** The offset that was asked for. */
export interface OffsetAnswer {
  readonly topic: string;
  readonly partition: number;
  /** -1: no message is that young. */
  readonly offset: number;
  /** Unix time in ms of the message at the offset; -1 where the question was not by time. */
  readonly timestampMs: number;
}

/**
 * Asks the leaders of the partitions, those of one node together. Retriable failures are retried.
 *
 * @returns answers in the order of the queries.
 * @throws UnknownTopicError, BrokerError, ConnectionError; the signal's reason.
 */
export async function listOffsets(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
  limits: CallLimits = {},
): Promise<OffsetAnswer[]> {
  return cluster.retry('listOffsets', limits, async () => {
    const answers = new Array<OffsetAnswer>(queries.length);
    const byNode = await groupByLeader(cluster, queries);
    try {
      await Promise.all([...byNode].map(([node, rows]) => askLeader(cluster, node, rows, answers)));
    } catch (error) {
      if (doubtsMetadata(error)) for (const { topic } of queries) cluster.forget(topic);
      throw error;
    }
    return answers;
  });
}

interface Row {
  readonly index: number;
  readonly query: OffsetQuery;
  readonly topicId: string;
}

async function groupByLeader(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
): Promise<Map<number, Row[]>> {
  const names = [...new Set(queries.map(({ topic }) => topic))];
  const routes = new Map<string, TopicRoute>();
  for (const route of await Promise.all(names.map((name) => cluster.topic(name)))) {
    routes.set(route.name, route);
  }
  const byNode = new Map<number, Row[]>();
  for (const [index, query] of queries.entries()) {
    let route = routes.get(query.topic);
    if (route?.partitions[query.partition] === undefined) {
      // Perhaps it was added since.
      route = await cluster.refresh(query.topic);
      routes.set(query.topic, route);
    }
    const leader = route.partitions[query.partition]?.leader;
    if (leader === undefined) {
      throw noSuchPartition(query.topic, query.partition, route.partitions.length);
    }
    const rows = byNode.get(leader) ?? [];
    rows.push({ index, query, topicId: route.topicId });
    byNode.set(leader, rows);
  }
  return byNode;
}

/** @throws the first error of a row. */
async function askLeader(
  cluster: Cluster,
  node: number,
  rows: readonly Row[],
  answers: OffsetAnswer[],
): Promise<void> {
  const entries = rows.map(({ query, topicId }) => ({
    topicId,
    partition: query.partition,
    timestampMs: query.timestampMs,
  }));
  const { response, broker } = await cluster.askNode(node, 'admin', listOffsetsApi, { entries });
  for (const [position, { index, query }] of rows.entries()) {
    const row = response.entries[position];
    const { topic, partition } = query;
    if (row?.partition !== partition) {
      const message = `A listOffsets response of ${broker} does not fit its request`;
      throw new ConnectionError(message, { broker, topic });
    }
    if (row.errorCode !== 0) {
      const error = ProtocolError.fromCode(row.errorCode, row.errorMessage);
      const action = `list offsets of ${partitionName(topic, partition)}`;
      throw new BrokerError(error, { broker, topic, partition, action });
    }
    answers[index] = { topic, partition, offset: row.offset, timestampMs: row.timestampMs };
  }
}
