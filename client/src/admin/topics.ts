import {
  createTopicsApi,
  deleteTopicsApi,
  describeTopicsApi,
  type Api,
  type CreateTopicsRequest,
  type DescribedTopic,
} from '@millrace/protocol';
import type { Answer, CallLimits, Cluster } from '../cluster.js';
import { noSuchTopic } from '../missing.js';
import { checkKeys, type KeysOf } from '../util/known-keys.js';
import { refusal } from './refusal.js';
import { chunksOf, errorOf, throwAll, type Asked } from './rows.js';
import type { CreatedTopic, TopicDescription, TopicListing, TopicSpec } from './topic-types.js';

/** See Admin.createTopics. */
export async function createTopics(
  cluster: Cluster,
  specs: readonly TopicSpec[],
  limits: CallLimits,
): Promise<CreatedTopic[]> {
  for (const spec of specs) checkKeys('topic field', spec, specKeys);
  const created: CreatedTopic[] = [];
  const errors: unknown[] = [];
  for (const chunk of chunksOf(specs)) {
    const request = { topics: chunk.map(toRow), timeoutMs: cluster.requestTimeoutMs };
    const { response, repeated, broker } = await change(cluster, createTopicsApi, request, limits);
    for (const [index, row] of response.topics.entries()) {
      const { name: topic, topicId, partitions } = row;
      const error = errorOf(row);
      const existed = chunk[index]?.ifNotExists === true;
      cluster.created(topic);
      if (error === undefined) created.push({ name: topic, topicId, partitions, existed: false });
      else if ((repeated || existed) && error.errorName === 'TOPIC_ALREADY_EXISTS') {
        // Without ifNotExists, the answer to a first try was lost, and that try created it.
        const route = await cluster.topicWithRetry(topic, limits);
        const partitionCount = route.partitions.length;
        created.push({ name: topic, topicId: route.topicId, partitions: partitionCount, existed });
      } else {
        errors.push(refusal('create', topic, error, broker));
      }
    }
  }
  throwAll(errors, 'Some topics were not created');
  return created;
}

/** See Admin.deleteTopic. */
export async function deleteTopic(
  cluster: Cluster,
  name: string,
  limits: CallLimits,
): Promise<void> {
  const request = { names: [name], timeoutMs: cluster.requestTimeoutMs };
  const { response, repeated, broker } = await change(cluster, deleteTopicsApi, request, limits);
  cluster.forget(name);
  const [row] = response.topics;
  const error = row === undefined ? undefined : errorOf(row);
  if (error === undefined) return;
  if (error.errorName !== 'UNKNOWN_TOPIC_OR_PARTITION') {
    throw refusal('delete', name, error, broker);
  }
  if (!repeated) throw noSuchTopic(name, broker);
}

/** A request that changes something, and whether an earlier try may have done it already. */
async function change<Request, Response>(
  cluster: Cluster,
  api: Api<Request, Response>,
  request: Request,
  limits: CallLimits,
): Promise<Answer<Response> & { readonly repeated: boolean }> {
  let attempts = 0;
  const answer = await cluster.retry(api.name, limits, () => {
    attempts += 1;
    return cluster.askOnce(api, request);
  });
  return { ...answer, repeated: attempts > 1 };
}

/** See Admin.listTopics. */
export async function listTopics(cluster: Cluster, limits: CallLimits): Promise<TopicListing[]> {
  const routes = await cluster.allTopics(limits);
  return routes
    .map(({ name, topicId, partitions }) => ({ name, topicId, partitions: partitions.length }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** See Admin.describeTopics. */
export async function describeTopics(
  cluster: Cluster,
  names: readonly string[],
  limits: CallLimits,
): Promise<TopicDescription[]> {
  const rows = await describedRows(cluster, names, limits);
  return rows.map(({ row, broker }) => {
    const error = errorOf(row);
    if (error === undefined) return toDescription(row);
    if (error.errorName === 'UNKNOWN_TOPIC_OR_PARTITION') throw noSuchTopic(row.name, broker);
    throw refusal('describe', row.name, error, broker);
  });
}

/** As {@link describeTopics}, without those that there are none of. */
export async function describeExisting(
  cluster: Cluster,
  names: readonly string[],
  limits: CallLimits,
): Promise<TopicDescription[]> {
  const rows = await describedRows(cluster, names, limits);
  return rows.filter(({ row }) => row.errorCode === 0).map(({ row }) => toDescription(row));
}

async function describedRows(
  cluster: Cluster,
  names: readonly string[],
  limits: CallLimits,
): Promise<Asked<DescribedTopic>[]> {
  const rows: Asked<DescribedTopic>[] = [];
  for (const chunk of chunksOf(names)) {
    const { response, broker } = await cluster.ask(describeTopicsApi, { names: chunk }, limits);
    rows.push(...response.topics.map((row) => ({ row, broker })));
  }
  return rows;
}

function toDescription(row: DescribedTopic): TopicDescription {
  const { name, topicId, internal, partitions } = row;
  const config = row.config.map(([key, value, source]) => ({ key, value, source }));
  return { name, topicId, internal, config, partitions };
}

const specKeys: KeysOf<TopicSpec> = {
  name: true,
  partitions: true,
  config: true,
  ifNotExists: true,
};

function toRow({ name, partitions = 1, config = {} }: TopicSpec): CreateTopicsRequest['topics'][0] {
  const entries = Object.entries(config).map(([key, value]) => [key, String(value)] as const);
  return { name, partitions, config: entries };
}
