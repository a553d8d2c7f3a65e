import {
  alterTopicConfigsApi,
  createPartitionsApi,
  deleteRecordsApi,
  END_TIMESTAMP,
  type TopicConfigChange,
} from '@millrace/protocol';
import type { CallLimits, Cluster } from '../cluster.js';
import { BrokerError, InvalidArgumentError } from '../errors.js';
import { noSuchTopic } from '../missing.js';
import { listOffsets } from '../offsets.js';
import { ignore } from '../util/async.js';
import { integerOption } from '../util/check.js';
import { checkKeys, type KeysOf } from '../util/known-keys.js';
import { partitionName, quoted } from '../util/text.js';
import { askLeaders } from './leaders.js';
import { refusal } from './refusal.js';
import { settleRows, throwAll } from './rows.js';
import type { ConfigChanges, DeletedRecords, RecordsToDelete } from './topic-types.js';

/** See Admin.alterConfig. */
export async function alterConfig(
  cluster: Cluster,
  topic: string,
  changes: ConfigChanges,
  { validateOnly, ...limits }: CallLimits & { readonly validateOnly: boolean },
): Promise<void> {
  const rows = [{ name: topic, changes: changeRows(changes) }];
  const [settled] = await settleRows(
    cluster,
    {
      action: 'alterConfig',
      describe: () => `alter topic ${quoted(topic)}`,
      ask: async (topics) => {
        const request = { topics, validateOnly };
        const { response, broker } = await cluster.askOnce(alterTopicConfigsApi, request);
        return response.topics.map((row) => ({ row, broker }));
      },
    },
    rows,
    limits,
  );
  if (settled?.error === undefined) return;
  const { error, broker } = settled;
  if (error.errorName === 'UNKNOWN_TOPIC_OR_PARTITION') throw noSuchTopic(topic, broker);
  throw refusal('alter', topic, error, broker);
}

function changeRows(changes: ConfigChanges): TopicConfigChange[] {
  const isObject = typeof changes === 'object' && (changes as unknown) !== null;
  const entries = isObject && !Array.isArray(changes) ? Object.entries(changes) : [];
  if (entries.length === 0) {
    throw new InvalidArgumentError(
      "changes must be an object with at least one key, such as { 'retention.ms': 86400000 }",
    );
  }
  return entries.map(([key, value]: [string, unknown]) => {
    if (value === null) return { key, value };
    const isNumber = typeof value === 'number' && Number.isFinite(value);
    if (isNumber || typeof value === 'string' || typeof value === 'boolean') {
      return { key, value: String(value) };
    }
    const given = typeof value === 'number' ? String(value) : typeof value;
    throw new InvalidArgumentError(
      `${quoted(key)} takes a string or a number, or null for the broker's default, ` +
        `not ${given}`,
    );
  });
}

/** See Admin.createPartitions. */
export async function createPartitions(
  cluster: Cluster,
  topic: string,
  total: number,
  limits: CallLimits,
): Promise<number> {
  const partitions = integerOption('total', total, 0, { minimum: 1 });
  const [settled] = await settleRows(
    cluster,
    {
      action: 'createPartitions',
      describe: () => `add partitions to topic ${quoted(topic)}`,
      ask: async (topics) => {
        const request = { topics, timeoutMs: cluster.requestTimeoutMs };
        const { response, broker } = await cluster.askOnce(createPartitionsApi, request);
        return response.topics.map((row) => ({ row, broker }));
      },
    },
    [{ name: topic, partitions }],
    limits,
  );
  cluster.forget(topic);
  if (settled?.error === undefined) {
    // Producers of this client use the new ones from now on; a failure only means: a little later.
    await cluster.refresh(topic).catch(ignore);
    return settled?.row.partitions ?? partitions;
  }
  const { error, broker, repeated } = settled;
  if (error.errorName === 'UNKNOWN_TOPIC_OR_PARTITION') throw noSuchTopic(topic, broker);
  if (repeated && error.errorName === 'INVALID_PARTITIONS') {
    // The answer to a first try was lost, and that try added them.
    const route = await cluster.topicWithRetry(topic, limits);
    if (route.partitions.length === partitions) return partitions;
  }
  throw refusal('add partitions to', topic, error, broker);
}

const deletionKeys: KeysOf<RecordsToDelete> = { topic: true, partition: true, offset: true };

/** See Admin.deleteRecords. */
export async function deleteRecords(
  cluster: Cluster,
  deletions: readonly RecordsToDelete[],
  limits: CallLimits,
): Promise<DeletedRecords[]> {
  for (const deletion of deletions) {
    checkKeys('deleteRecords field', deletion, deletionKeys);
    integerOption('partition', deletion.partition, -1, { minimum: 0 });
    if (deletion.offset !== 'end') integerOption('offset', deletion.offset, -1, { minimum: 0 });
  }
  const settled = await settleRows(
    cluster,
    {
      action: 'deleteRecords',
      describe: ({ topic, partition }) => `delete records of ${partitionName(topic, partition)}`,
      ask: (items) =>
        askLeaders(cluster, items, async (node, routed) => {
          const entries = routed.map(({ topicId, item: { partition, offset } }) => ({
            topicId,
            partition,
            offset,
          }));
          const request = { entries, timeoutMs: cluster.requestTimeoutMs };
          const { response, broker } = await cluster.askNode(
            node,
            'admin',
            deleteRecordsApi,
            request,
          );
          return { rows: response.entries, broker };
        }),
    },
    await withOffsets(cluster, deletions, limits),
    limits,
  );
  const errors = settled.flatMap(({ item: { topic, partition, offset }, error, broker }) => {
    if (error === undefined) return [];
    const action = `delete records of ${partitionName(topic, partition)} before ${offset}`;
    return [new BrokerError(error, { broker, topic, partition, action })];
  });
  throwAll(errors, 'Some records were not deleted');
  return settled.map(({ item: { topic, partition }, row: { logStartOffset } }) => ({
    topic,
    partition,
    startOffset: logStartOffset,
  }));
}

/**
 * The end as it is now: a request that is repeated must not take messages that came meanwhile.
 */
async function withOffsets(
  cluster: Cluster,
  deletions: readonly RecordsToDelete[],
  limits: CallLimits,
): Promise<{ readonly topic: string; readonly partition: number; readonly offset: number }[]> {
  const toEnd = deletions.filter(({ offset }) => offset === 'end');
  const queries = toEnd.map(({ topic, partition }) => {
    return { topic, partition, timestampMs: END_TIMESTAMP };
  });
  const ends = await listOffsets(cluster, queries, limits);
  const endOf = new Map(toEnd.map((deletion, index) => [deletion, ends[index]?.offset]));
  return deletions.map((deletion) => {
    const { topic, partition, offset } = deletion;
    return { topic, partition, offset: offset === 'end' ? (endOf.get(deletion) ?? 0) : offset };
  });
}
